package dev.ptq.tensor;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/**
 * A product with an orthogonal Hadamard matrix, {@code H / sqrt(order)}, whose entries all have one magnitude.
 *
 * <p>Its orders are powers of two, the orders of Paley's two constructions, and twice an order. The matrix of a large order
 * is the Kronecker product of small ones, and so is applied by several small products.
 */
public final class Hadamard {
    /** The largest power of two in one factor: larger ones cost more than a second product. */
    private static final int LARGEST_POWER = 64;

    private static final Map<Integer, Optional<Hadamard>> KNOWN = new ConcurrentHashMap<>();

    private final int order;
    private final List<Factor> factors;

    /** A factor of the Kronecker product: entries in row order, 1 or -1. */
    private static final class Factor {
        private final int order;
        private final float[] signs;

        private Factor(int order, float[] signs) {
            this.order = order;
            this.signs = signs;
        }

        private int order() {
            return order;
        }

        private NDArray matrix(NDArray like) {
            NDArray matrix = NativeFloats.of(like.getManager(), signs, order, order);
            return matrix.toType(like.getDataType(), false);
        }
    }

    private Hadamard(List<Factor> factors) {
        this.factors = List.copyOf(factors);
        this.order = factors.stream().mapToInt(Factor::order).reduce(1, (a, b) -> a * b);
    }

    /** Returns the matrix of an order; absent if the constructions do not reach it, as 172. */
    public static Optional<Hadamard> of(int order) {
        return KNOWN.computeIfAbsent(order, Hadamard::construct);
    }

    /** Returns the largest order that divides a width. */
    public static int largestIn(int width) {
        return IntStream.iterate(width, order -> order - 1)
                .filter(order -> width % order == 0 && of(order).isPresent())
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("a width of " + width));
    }

    private static Optional<Hadamard> construct(int order) {
        if (order < 1) {
            return Optional.empty();
        }
        for (int power = Integer.lowestOneBit(order); power >= 1; power /= 2) {
            int rest = order / power;
            Optional<float[]> signs = rest == 1 ? Optional.of(new float[] {1}) : paley(rest);
            if (signs.isPresent()) {
                List<Factor> factors = new ArrayList<>();
                for (int left = power; left > 1; ) {
                    int part = Math.min(left, LARGEST_POWER);
                    factors.add(sylvester(part));
                    left /= part;
                }
                if (rest > 1) {
                    factors.add(new Factor(rest, signs.get()));
                }
                return Optional.of(new Hadamard(factors));
            }
        }
        return Optional.empty();
    }

    private static Factor sylvester(int order) {
        float[] signs = new float[order * order];
        for (int row = 0; row < order; row++) {
            for (int column = 0; column < order; column++) {
                signs[row * order + column] = Integer.bitCount(row & column) % 2 == 0 ? 1 : -1;
            }
        }
        return new Factor(order, signs);
    }

    /** The signs by Paley's first or second construction, if the order has one (Paley, 1933). */
    private static Optional<float[]> paley(int order) {
        if (order % 4 != 0) {
            return Optional.empty();
        }
        Optional<ResidueSymbols> first = (order - 1) % 4 == 3 ? ResidueSymbols.of(order - 1) : Optional.empty();
        if (first.isPresent()) {
            return Optional.of(conference(order, first.get(), true));
        }
        int half = order / 2;
        Optional<ResidueSymbols> second = (half - 1) % 4 == 1 ? ResidueSymbols.of(half - 1) : Optional.empty();
        return second.map(symbols -> doubled(half, conference(half, symbols, false)));
    }

    /** A border of ones around the residue symbols of differences; for a skew matrix plus one on the diagonal. */
    private static float[] conference(int order, ResidueSymbols symbols, boolean isSkew) {
        float[] entries = new float[order * order];
        for (int i = 1; i < order; i++) {
            entries[i] = 1;
            entries[i * order] = isSkew ? -1 : 1;
            for (int j = 1; j < order; j++) {
                entries[i * order + j] = symbols.ofDifference(i - 1, j - 1);
            }
        }
        for (int i = 0; isSkew && i < order; i++) {
            entries[i * order + i] += 1;
        }
        return entries;
    }

    /** Replaces 0, 1 and -1 of a symmetric conference matrix by blocks of two rows. */
    private static float[] doubled(int half, float[] conference) {
        int order = 2 * half;
        float[] entries = new float[order * order];
        for (int i = 0; i < half; i++) {
            for (int j = 0; j < half; j++) {
                float entry = conference[i * half + j];
                float[] block = i == j ? new float[] {1, -1, -1, -1} : new float[] {entry, entry, entry, -entry};
                entries[2 * i * order + 2 * j] = block[0];
                entries[2 * i * order + 2 * j + 1] = block[1];
                entries[(2 * i + 1) * order + 2 * j] = block[2];
                entries[(2 * i + 1) * order + 2 * j + 1] = block[3];
            }
        }
        return entries;
    }

    /**
     * Additions that the fast transform takes for each value: of a factor whose order is a power of two the exponent, of
     * another one less than the order.
     */
    public int additionsPerValue() {
        return factors.stream()
                .mapToInt(Factor::order)
                .map(part -> Integer.bitCount(part) == 1 ? Integer.numberOfTrailingZeros(part) : part - 1)
                .sum();
    }

    /** Number of rows. */
    public int order() {
        return order;
    }

    /**
     * Returns {@code x H / sqrt(order)} over the last axis, which is one row of the product or several side by side;
     * differentiable.
     *
     * @param x {@code [..., width]}, float32 or float64, with a width that the order divides
     */
    public NDArray apply(NDArray x) {
        Shape shape = x.getShape();
        long width = shape.get(shape.dimension() - 1);
        if (width % order != 0) {
            throw new IllegalArgumentException("order " + order + " does not divide the width of " + shape);
        }
        if (order == 1) {
            return x;
        }
        NDArray turned = x;
        long inner = order;
        for (Factor factor : factors) {
            inner /= factor.order();
            // the transpose is the matrix itself, except in the last factor, which multiplies from the right
            turned = inner == 1
                    ? turned.reshape(-1, factor.order()).matMul(factor.matrix(x))
                    : factor.matrix(x).matMul(turned.reshape(-1, factor.order(), inner));
        }
        NDArray root = NativeFloats.scalar(x.getManager(), order)
                .toType(x.getDataType(), false)
                .sqrt();
        return turned.div(root).reshape(shape);
    }

    /** Whether elements of a finite field are squares: 1 if so, -1 if not, 0 for zero. */
    private static final class ResidueSymbols {
        private final int prime;
        private final int size;
        private final int[] symbols;

        private ResidueSymbols(int prime, int size, int[] symbols) {
            this.prime = prime;
            this.size = size;
            this.symbols = symbols;
        }

        /** Returns the symbols of a field of odd size; absent if there is none, as the size is no power of a prime. */
        static Optional<ResidueSymbols> of(int size) {
            int prime = IntStream.rangeClosed(2, size)
                    .filter(divisor -> size % divisor == 0)
                    .findFirst()
                    .orElse(2);
            int degree = 0;
            int rest = size;
            while (rest % prime == 0) {
                rest /= prime;
                degree++;
            }
            if (prime == 2 || rest != 1) {
                return Optional.empty();
            }
            return Optional.of(new ResidueSymbols(prime, size, symbols(prime, degree, size)));
        }

        /**
         * The even powers of a primitive element are the squares. Elements are polynomials over the prime field, written as
         * numbers by their coefficients; the primitive element is x modulo the first polynomial for which it is one, or
         * in the prime field the first number.
         */
        private static int[] symbols(int prime, int degree, int size) {
            for (int tail = 1; tail < size; tail++) {
                int[] symbols = new int[size];
                int power = 1;
                int count = 0;
                do {
                    symbols[power] = count % 2 == 0 ? 1 : -1;
                    power = degree == 1 ? (int) ((long) power * tail % prime) : timesX(power, tail, prime, size);
                    count++;
                } while (power > 1 && symbols[power] == 0);
                if (power == 1 && count == size - 1) {
                    return symbols;
                }
            }
            throw new IllegalStateException("a field of " + size + " has a primitive element");
        }

        /** Multiplies by x, modulo x to the degree less {@code tail}. */
        private static int timesX(int element, int tail, int prime, int size) {
            int leading = element / (size / prime);
            int shifted = element % (size / prime) * prime;
            int product = 0;
            for (int place = 1; place < size; place *= prime) {
                int digit = (shifted / place % prime + leading * (tail / place % prime)) % prime;
                product += digit * place;
            }
            return product;
        }

        float ofDifference(int a, int b) {
            int difference = 0;
            for (int place = 1; place < size; place *= prime) {
                difference += Math.floorMod(a / place % prime - b / place % prime, prime) * place;
            }
            return symbols[difference];
        }
    }
}
