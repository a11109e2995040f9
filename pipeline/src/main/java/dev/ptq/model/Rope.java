package dev.ptq.model;

/**
 * Rotary position embedding: the frequencies and their scaling to longer contexts.
 *
 * @param theta base of the frequencies
 * @param scaling of the frequencies
 */
public record Rope(double theta, Scaling scaling) {
    /** Scaling of frequencies for longer contexts. */
    public sealed interface Scaling permits Unscaled, Linear, Llama3 {
        /** Returns the frequency to use for {@code frequency}, in radians per position. */
        double scaled(double frequency);
    }

    /** As trained. */
    public record Unscaled() implements Scaling {
        @Override
        public double scaled(double frequency) {
            return frequency;
        }
    }

    /** Divides all positions by one factor. */
    public record Linear(double factor) implements Scaling {
        @Override
        public double scaled(double frequency) {
            return frequency / factor;
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
        public double scaled(double frequency) {
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

    /** Angles {@code [positions, headDim / 2]} in radians, computed in float32, as common programs do. */
    float[] angles(int[] positions, int headDim) {
        int half = headDim / 2;
        float[] angles = new float[positions.length * half];
        for (int i = 0; i < half; i++) {
            float frequency = (float) scaling.scaled((float) (1 / Math.pow(theta, 2.0 * i / headDim)));
            for (int row = 0; row < positions.length; row++) {
                angles[row * half + i] = positions[row] * frequency;
            }
        }
        return angles;
    }
}
