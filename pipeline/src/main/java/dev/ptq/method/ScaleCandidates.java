package dev.ptq.method;

import dev.ptq.config.Choices;
import java.util.ArrayList;
import java.util.List;

/**
 * The factors that a search tries, derived from the mean magnitudes {@code x} of each channel's activation and {@code w}
 * of the weights that take it, both of the unscaled block: {@code x^ratio}, or with the weights {@code x^ratio /
 * (w^(1-ratio) + 1e-4)}; at least 1e-4, and divided by the root of the product of the largest and the smallest. Source:
 * AWQ (MLSys 2024); with the weights, AutoAWQ.
 *
 * @param ratios how many there are, from 0 up in equal steps
 * @param last where they end
 * @param duo whether the weights take part
 * @param unscaled whether factors of 1 are tried too, before all others
 */
record ScaleCandidates(int ratios, Last last, Duo duo, boolean unscaled) {
    private static final float SMALLEST = 1e-4f;
    private static final float ADDED = 1e-4f;

    /** Where ratios end. */
    enum Last {
        /** One step below 1. */
        BELOW_ONE,
        /** At 1. */
        ONE;

        static final Choices<Last> CHOICES = Choices.of("below_one", BELOW_ONE, "one step below 1")
                .and("one", ONE, "at 1, where factors are as uneven as activations");
    }

    /** Whether the weights take part. */
    enum Duo {
        /** In no candidate. */
        OFF,
        /** In all. */
        ON,
        /** Each ratio is tried without and with them. */
        BOTH;

        static final Choices<Duo> CHOICES = Choices.of("off", OFF, "`x^ratio`")
                .and("on", ON, "`x^ratio / w^(1-ratio)`")
                .and("both", BOTH, "each ratio is tried in both ways");
    }

    /**
     * A candidate.
     *
     * @param ratio the exponent of the activations
     * @param duo whether the weights take part
     */
    record Candidate(double ratio, boolean duo) {
        /** Returns a factor for each channel. */
        float[] factors(float[] activations, float[] weights) {
            float[] factors = new float[activations.length];
            float largest = 0;
            float smallest = Float.POSITIVE_INFINITY;
            for (int i = 0; i < factors.length; i++) {
                float factor = (float) Math.pow(activations[i], ratio);
                if (duo) {
                    factor /= (float) Math.pow(weights[i], 1 - ratio) + ADDED;
                }
                factors[i] = Math.max(factor, SMALLEST);
                largest = Math.max(largest, factors[i]);
                smallest = Math.min(smallest, factors[i]);
            }
            float middle = (float) Math.sqrt((double) largest * smallest);
            for (int i = 0; i < factors.length; i++) {
                float factor = factors[i] / middle;
                factors[i] = Float.isFinite(factor) ? factor : 1;
            }
            return factors;
        }
    }

    /** All but the factors of 1, in the order in which they are tried. */
    List<Candidate> all() {
        List<Candidate> all = new ArrayList<>();
        for (int i = 0; i < ratios; i++) {
            double ratio = last == Last.ONE ? i / Math.max(1.0, ratios - 1) : i / (double) ratios;
            boolean isOne = i == 0 && unscaled;
            if (duo != Duo.ON && !isOne) {
                all.add(new Candidate(ratio, false));
            }
            if (duo != Duo.OFF) {
                all.add(new Candidate(ratio, true));
            }
        }
        return all;
    }
}
