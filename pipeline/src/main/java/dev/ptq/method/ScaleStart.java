package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.Key;
import dev.ptq.model.SmoothingMapping;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Initial factors of a mapping's channels, derived from the largest magnitudes {@code a} of each channel's activation
 * and {@code w} of the weights that take it.
 *
 * @param rule of the derivation
 * @param alpha exponent of {@link Rule#BALANCED}
 */
record ScaleStart(Rule rule, double alpha) {
    static final Key<Double> ALPHA = Key.decimal("alpha")
            .from(0.0)
            .to(1.0)
            .preset(0.5)
            .says("factors start at `max|x|^alpha / max|w|^(1-alpha)`");

    private static final float SMALLEST = 1e-5f;

    /** Rule of the derivation. */
    enum Rule {
        /** {@code a^alpha / w^(1 - alpha)}: SmoothQuant's. */
        BALANCED,
        /** {@code a / log2(2 + a)}, without the weights: LRQuant's. */
        LOG_OF_ACTIVATION
    }

    /**
     * Returns a factor for each channel of the mapping's balance layers.
     *
     * @param balanceLayers whose weights count
     */
    float[] scales(BlockContext context, SmoothingMapping mapping, List<String> balanceLayers) {
        float[] activation = statistic(context, mapping, Statistic.ABS_MAX);
        float[] weight = new float[activation.length];
        Map<String, NDArray> tensors =
                new FusedParts(context.shape()).apart(context.block().tensors());
        for (String balanceLayer : balanceLayers) {
            try (NDArray magnitudes = Objects.requireNonNull(tensors.get(balanceLayer + ".weight"))
                            .abs();
                    NDArray columns = magnitudes.max(new int[] {0})) {
                float[] values = columns.toFloatArray();
                for (int i = 0; i < weight.length; i++) {
                    weight[i] = Math.max(weight[i], values[i]);
                }
            }
        }
        float[] scales = new float[activation.length];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = scale(activation[i], weight[i]);
        }
        return scales;
    }

    private float scale(float activation, float weight) {
        double a = Math.max(activation, SMALLEST);
        double scale = switch (rule) {
            case BALANCED -> Math.pow(a, alpha) / Math.pow(Math.max(weight, SMALLEST), 1 - alpha);
            case LOG_OF_ACTIVATION -> a / (Math.log(2 + a) / Math.log(2));
        };
        return (float) Math.max(scale, SMALLEST);
    }

    /** A statistic of the balance layers' input, one value per column. */
    static float[] statistic(BlockContext context, SmoothingMapping mapping, Statistic statistic) {
        return context.statistics()
                .of(context.block().index(), mapping.hookPoint().orElseThrow(), statistic);
    }

    /** Ones, for mappings without an activation. */
    static float[] ones(int count) {
        float[] ones = new float[count];
        Arrays.fill(ones, 1);
        return ones;
    }
}
