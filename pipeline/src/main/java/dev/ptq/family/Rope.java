package dev.ptq.family;

import java.util.List;
import java.util.OptionalDouble;

/**
 * Rotary position embedding: pairs of a head's first channels are rotated by an angle that grows with the position.
 *
 * @param theta base of the frequencies
 * @param width number of rotated channels
 * @param interleaved whether channels {@code 2i} and {@code 2i + 1} are a pair, else {@code i} and {@code i + width / 2}
 * @param scaling of the frequencies, for longer contexts
 */
public record Rope(double theta, int width, boolean interleaved, Scaling scaling) {
    /** Scaling of frequencies. */
    public sealed interface Scaling permits Unscaled, Linear, Llama3, Dynamic, Yarn, LongRope {
        /**
         * Returns the frequency of a pair, in radians per position.
         *
         * @param rope whose scaling this is
         * @param pair from 0
         * @param length of the whole sequence
         */
        double frequency(Rope rope, int pair, int length);

        /** The factor of cosine and sine. */
        default double magnitude() {
            return 1;
        }

        /** The longest sequences that all have the same frequencies. */
        default int sameUpTo() {
            return Integer.MAX_VALUE;
        }
    }

    /** As trained. */
    public record Unscaled() implements Scaling {
        @Override
        public double frequency(Rope rope, int pair, int length) {
            return rope.plain(pair);
        }
    }

    /** Divides all positions by one factor. */
    public record Linear(double factor) implements Scaling {
        @Override
        public double frequency(Rope rope, int pair, int length) {
            return rope.plain(pair) / factor;
        }
    }

    /**
     * Llama 3.1: long wavelengths are divided by the factor, short ones are kept, those in between are blended.
     *
     * @param factor of the long wavelengths
     * @param lowFrequencyFactor wavelengths above {@code originalContext / lowFrequencyFactor} are long
     * @param highFrequencyFactor wavelengths below {@code originalContext / highFrequencyFactor} are short
     */
    public record Llama3(double factor, double lowFrequencyFactor, double highFrequencyFactor, int originalContext)
            implements Scaling {
        @Override
        public double frequency(Rope rope, int pair, int length) {
            double frequency = rope.plain(pair);
            double turns = originalContext * frequency / (2 * Math.PI);
            if (turns < lowFrequencyFactor) {
                return frequency / factor;
            }
            if (turns > highFrequencyFactor) {
                return frequency;
            }
            double blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
            return (1 - blend) * frequency / factor + blend * frequency;
        }
    }

    /** A larger base for sequences that are longer than those of training; it grows with their length. */
    public record Dynamic(double factor, int originalContext) implements Scaling {
        @Override
        public double frequency(Rope rope, int pair, int length) {
            if (length <= originalContext) {
                return rope.plain(pair);
            }
            double stretch = factor * length / originalContext - (factor - 1);
            double base = rope.theta * Math.pow(stretch, rope.width / (rope.width - 2.0));
            return 1 / Math.pow(base, 2.0 * pair / rope.width);
        }

        @Override
        public int sameUpTo() {
            return originalContext;
        }
    }

    /**
     * YaRN (ICLR 2024): pairs that turn rarely are divided by the factor, those that turn often are kept, those in
     * between are blended by their index.
     *
     * @param betaFast turns within the original context of pairs that are kept
     * @param betaSlow turns of pairs that are divided
     * @param truncate whether the bounds between are whole numbers
     * @param magnitude of cosine and sine
     */
    public record Yarn(
            double factor, int originalContext, double betaFast, double betaSlow, boolean truncate, double magnitude)
            implements Scaling {
        @Override
        public double frequency(Rope rope, int pair, int length) {
            double low = pairOf(rope, betaFast);
            double high = pairOf(rope, betaSlow);
            if (truncate) {
                low = Math.floor(low);
                high = Math.ceil(high);
            }
            low = Math.max(low, 0);
            high = Math.min(high, rope.width - 1.0);
            double ramp = Math.max(0, Math.min(1, (pair - low) / (low == high ? 0.001 : high - low)));
            double frequency = rope.plain(pair);
            return frequency * (1 - ramp) + frequency / factor * ramp;
        }

        /** The pair that turns so often within the original context. */
        private double pairOf(Rope rope, double turns) {
            return rope.width * Math.log(originalContext / (turns * 2 * Math.PI)) / (2 * Math.log(rope.theta));
        }
    }

    /**
     * LongRoPE (ICML 2024): a divisor for each pair, of two lists by the length of the sequence.
     *
     * @param shortFactors for sequences up to the original context
     * @param longFactors for longer ones
     * @param magnitude of cosine and sine
     */
    public record LongRope(List<Double> shortFactors, List<Double> longFactors, int originalContext, double magnitude)
            implements Scaling {
        @Override
        public double frequency(Rope rope, int pair, int length) {
            return rope.plain(pair) / (length > originalContext ? longFactors : shortFactors).get(pair);
        }

        @Override
        public int sameUpTo() {
            return originalContext;
        }
    }

    /** The frequency of a pair before scaling, to float32, as common programs have it. */
    private double plain(int pair) {
        return (float) (1 / Math.pow(theta, 2.0 * pair / width));
    }

    /**
     * Angles {@code [positions, width / 2]} in radians, computed in float32, as common programs do.
     *
     * @param length of the whole sequence
     */
    public float[] angles(int[] positions, int length) {
        int half = width / 2;
        float[] angles = new float[positions.length * half];
        for (int i = 0; i < half; i++) {
            float frequency = (float) scaling.frequency(this, i, length);
            for (int row = 0; row < positions.length; row++) {
                angles[row * half + i] = positions[row] * frequency;
            }
        }
        return angles;
    }

    /** YaRN's magnitude where none is given. */
    static double yarnMagnitude(double factor, OptionalDouble scale, OptionalDouble scaleAll) {
        return scale.isPresent() && scaleAll.isPresent()
                ? yarnMagnitude(factor, scale.getAsDouble()) / yarnMagnitude(factor, scaleAll.getAsDouble())
                : yarnMagnitude(factor, 1);
    }

    private static double yarnMagnitude(double factor, double scale) {
        return factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
    }
}
