package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.BlockShape;
import dev.ptq.family.BranchNorms;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.family.Norm;
import dev.ptq.tensor.Hadamard;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import java.util.stream.DoubleStream;

/**
 * A rotation of a model that leaves what it computes as it is: orthogonal matrices are folded into weights on both sides of
 * an activation, or into the weight behind it where the model multiplies the activation itself. Source: QuaRot (NeurIPS
 * 2024); the names R1 to R4 are those of SpinQuant (ICLR 2025).
 *
 * @param places that are rotated, in order
 * @param matrix the kind of matrix that is folded into weights; activations are always multiplied by Hadamard matrices
 * @param block width of the parts that are rotated by themselves, such as those that share a scale; 0: the largest
 * @param acrossHeads whether R2 also rotates across heads, in the forward pass
 * @param seed of signs and matrices
 */
public record Rotation(List<Place> places, Matrix matrix, int block, boolean acrossHeads, long seed) {
    /** What is rotated. */
    public enum Place {
        /** The residual stream. */
        R1,
        /** Values, head by head. */
        R2,
        /** Queries and keys behind their rotation by position, in the forward pass. */
        R3,
        /** The input of the last linear of an MLP, in the forward pass. */
        R4
    }

    /** A kind of orthogonal matrix. */
    public enum Matrix {
        /** A Hadamard matrix whose rows have random signs. */
        HADAMARD,
        /** Any, all equally likely. */
        ORTHOGONAL
    }

    public Rotation {
        places = List.copyOf(places);
    }

    /** Returns why the parts of a model do not allow some rotations. */
    public static Map<Place, String> absent(ModelConfig model) {
        Map<Place, String> absent = new EnumMap<>(Place.class);
        whyNotResidual(model).ifPresent(why -> absent.put(Place.R1, why));
        if (model.layers().stream().anyMatch(block -> block.attention().clip().isPresent())) {
            absent.put(Place.R2, "the bound on values does not commute with it");
        }
        return absent;
    }

    private static Optional<String> whyNotResidual(ModelConfig model) {
        for (BlockShape block : model.layers()) {
            for (BranchNorms norms : List.of(block.attentionNorms(), block.mlpNorms())) {
                if (norms.afterSum().isPresent()) {
                    return Optional.of("norms stand in the residual stream itself");
                }
                if (norms.after().filter(norm -> !isIndifferent(norm)).isPresent()) {
                    return Optional.of("a norm with a gain is on each branch before it is added");
                }
            }
        }
        if (model.layers().stream()
                .anyMatch(block -> block.mlp() instanceof MixtureShape
                        && block.mlpNorms().before().filter(Norm::hasBias).isPresent())) {
            return Optional.of("the router has no place for the bias of the norm in front");
        }
        Optional<Norm> embedded = model.embedding().norm();
        if (embedded.isPresent() && (hasMoreThanTable(model) || embedded.get().kind() == Norm.Kind.RMS)) {
            return Optional.of("a norm follows the sum of embeddings");
        }
        boolean shifts = model.output().norm().filter(Norm::hasBias).isPresent();
        return shifts && model.output().projection().isPresent()
                ? Optional.of("the projection in front of the head has no place for the bias of the norm before it")
                : Optional.empty();
    }

    /** Whether a norm's output turns with its input. */
    private static boolean isIndifferent(Norm norm) {
        return norm.kind() == Norm.Kind.RMS && !norm.hasWeight() && !norm.hasBias();
    }

    private static boolean hasMoreThanTable(ModelConfig model) {
        return model.positions().learned().isPresent()
                || model.embedding().projection().isPresent()
                || model.embedding().multiplier() != 1;
    }

    /** Returns whether a place is rotated. */
    public boolean has(Place place) {
        return places.contains(place);
    }

    /** Returns what stands against rotating a model in parts of {@link #block}; absent if nothing does. */
    public Optional<String> problem(ModelConfig model) {
        return widths(model).keySet().stream()
                .filter(width -> block > 0 && width > block && width % block != 0)
                .map(width ->
                        "expected a divisor of all widths that are rotated, got " + block + ", and one is " + width)
                .findFirst();
    }

    /** The widths that are rotated, and by what. */
    private Map<Integer, String> widths(ModelConfig model) {
        Map<Integer, String> widths = new LinkedHashMap<>();
        if (has(Place.R1)) {
            widths.put(model.hiddenSize(), "R1");
        }
        for (BlockShape shape : model.layers()) {
            if (has(Place.R2) || has(Place.R3)) {
                widths.putIfAbsent(shape.attention().headDim(), "R2 and R3");
            }
            if (has(Place.R4)) {
                shape.mlp().mlps().forEach(mlp -> widths.putIfAbsent(mlp.width(), "R4"));
            }
        }
        return widths;
    }

    /** Returns the parts of widths that no Hadamard matrix here turns whole, a sentence each. */
    public List<String> parts(ModelConfig model) {
        List<String> parts = new ArrayList<>();
        widths(model).forEach((width, name) -> {
            if (block == 0 && order(width) < width) {
                parts.add(name + " turns parts of " + order(width) + " features: no construction reaches a Hadamard"
                        + " matrix of all " + width);
            }
        });
        return parts;
    }

    /** Width of the parts that a width falls into. */
    private int order(int width) {
        return block > 0 && block < width ? block : Hadamard.largestIn(width);
    }

    /** The shape of a model once it is rotated. */
    public ModelConfig of(ModelConfig model) {
        ModelConfig plain = has(Place.R1) ? model.withPlainNorms() : model;
        return plain.withLayers(plain.layers().stream().map(this::of).toList());
    }

    private BlockShape of(BlockShape shape) {
        AttentionShape attention = shape.attention();
        AttentionShape.Rotations rotations = new AttentionShape.Rotations(
                has(Place.R3) ? OptionalInt.of(order(attention.headDim())) : OptionalInt.empty(),
                has(Place.R2) && acrossHeads
                        ? OptionalInt.of(Hadamard.largestIn(attention.heads()))
                        : OptionalInt.empty());
        return shape.with(
                attention.rotated(rotations),
                has(Place.R4) ? shape.mlp().map(mlp -> mlp.rotated(order(mlp.width()))) : shape.mlp());
    }

    /** The matrices that are folded into weights, as what they make of rows in float64 or float32. */
    public interface Matrices {
        /** Returns R1, for rows {@code [n, hiddenSize]}. */
        UnaryOperator<NDArray> residual(int hiddenSize);

        /** Returns R2 in a block, for rows {@code [n, headDim]}. */
        UnaryOperator<NDArray> values(int block, int headDim);

        /** Matrices that change nothing. */
        static Matrices identity() {
            return new Matrices() {
                @Override
                public UnaryOperator<NDArray> residual(int hiddenSize) {
                    return UnaryOperator.identity();
                }

                @Override
                public UnaryOperator<NDArray> values(int block, int headDim) {
                    return UnaryOperator.identity();
                }
            };
        }
    }

    /** The matrices drawn by the seed. */
    public Matrices drawn() {
        return new Matrices() {
            @Override
            public UnaryOperator<NDArray> residual(int hiddenSize) {
                return turn(hiddenSize, 0);
            }

            @Override
            public UnaryOperator<NDArray> values(int index, int headDim) {
                return turn(headDim, 1 + index);
            }
        };
    }

    private UnaryOperator<NDArray> turn(int width, int number) {
        // neighbouring seeds of one are mixed by the other
        Random random = new Random(new SplittableRandom(seed + number).nextLong());
        if (matrix == Matrix.HADAMARD) {
            double[] signs =
                    random.ints(width, 0, 2).mapToDouble(bit -> 2 * bit - 1).toArray();
            Hadamard hadamard = Hadamard.of(order(width)).orElseThrow();
            return x -> hadamard.apply(x.mul(x.getManager().create(signs, new Shape(width))));
        }
        int part = block > 0 && block < width ? block : width;
        double[] entries = orthogonal(random, part);
        return x -> x.reshape(-1, part)
                .matMul(x.getManager().create(entries, new Shape(part, part)))
                .reshape(x.getShape());
    }

    /** The factor Q of a matrix of normal numbers, with a positive diagonal of R, is distributed evenly. */
    private static double[] orthogonal(Random random, int order) {
        double[] normal = DoubleStream.generate(random::nextGaussian)
                .limit((long) order * order)
                .toArray();
        try (NDManager scratch = TensorEngine.newManager()) {
            NDList factors = Torch.qr(scratch.create(normal, new Shape(order, order)));
            NDArray diagonal = factors.get(1).diagonal();
            return factors.get(0).mul(diagonal.sign()).toDoubleArray();
        }
    }
}
