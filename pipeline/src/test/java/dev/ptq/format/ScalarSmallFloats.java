package dev.ptq.format;

import dev.ptq.format.SmallFloat.Ties;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Small floats by obvious code: a search among all numbers, in double. */
final class ScalarSmallFloats {
    private static final Map<SmallFloat, double[]> NUMBERS = new EnumMap<>(SmallFloat.class);

    static {
        for (SmallFloat element : SmallFloat.values()) {
            NUMBERS.put(element, ofDefinition(element));
        }
    }

    private ScalarSmallFloats() {}

    /** Returns the numbers from zero up, by code. */
    static double[] numbers(SmallFloat element) {
        return Objects.requireNonNull(NUMBERS.get(element));
    }

    private static double[] ofDefinition(SmallFloat element) {
        return switch (element) {
            case E4M3 -> numbers(4, 3, 448);
            case E5M2 -> numbers(5, 2, 57344);
            case E3M2 -> numbers(3, 2, 28);
            case E2M3 -> numbers(2, 3, 7.5);
            case E2M1 -> new double[] {0, 0.5, 1, 1.5, 2, 3, 4, 6};
            case INT8 -> {
                double[] numbers = new double[128];
                for (int i = 0; i < numbers.length; i++) {
                    numbers[i] = i / 64.0;
                }
                yield numbers;
            }
        };
    }

    private static double[] numbers(int exponentBits, int mantissaBits, double largest) {
        int bias = (1 << (exponentBits - 1)) - 1;
        int mantissas = 1 << mantissaBits;
        List<Double> numbers = new ArrayList<>();
        for (int code = 0; code < 1 << (exponentBits + mantissaBits); code++) {
            int exponent = code / mantissas;
            double fraction = code % mantissas / (double) mantissas;
            double value =
                    exponent == 0 ? fraction * Math.pow(2, 1 - bias) : (1 + fraction) * Math.pow(2, exponent - bias);
            if (value <= largest) {
                numbers.add(value);
            }
        }
        return numbers.stream().mapToDouble(Double::doubleValue).toArray();
    }

    /** Returns the code of the magnitude of a value that is not NaN. */
    static int magnitudeCode(SmallFloat element, double value, Ties ties) {
        double[] numbers = numbers(element);
        double magnitude = Math.abs(value);
        int below = numbers.length - 1;
        while (numbers[below] > magnitude) {
            below--;
        }
        if (below == numbers.length - 1 || ties == Ties.TRUNC) {
            return below;
        }
        double toLower = magnitude - numbers[below];
        double toUpper = numbers[below + 1] - magnitude;
        if (toLower == toUpper) {
            return ties == Ties.AWAY || below % 2 == 1 ? below + 1 : below;
        }
        return toLower < toUpper ? below : below + 1;
    }

    /** Returns a value, not NaN, after rounding. */
    static double round(SmallFloat element, double value, Ties ties) {
        return Math.copySign(numbers(element)[magnitudeCode(element, value, ties)], value);
    }
}
