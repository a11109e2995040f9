package dev.ptq.method;

import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import java.io.IOException;
import java.util.Set;

/**
 * A step of {@code [[approximation]]}: a record that is its own settings. It is listed in {@link Methods}.
 */
public interface Method {
    /** The word in configs. */
    String name();

    /** What calibration must collect for it. */
    Set<Statistic> statistics();

    /** Whether it works on a linear; the inputs of others need no statistics. */
    default boolean matches(LinearSpec linear) {
        return true;
    }

    /** Reports to {@code table} what does not fit a model of this shape, or these formats. */
    void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table);

    /** Works on one block. */
    void apply(BlockContext context) throws IOException;

    /** The mappings whose channels it rescales, which changes weights on both sides and what flows between. */
    default Set<SmoothingMapping.Kind> transforms() {
        return Set.of();
    }

    /** Whether it decides how weights are rounded. */
    default boolean rounds() {
        return false;
    }

    /** Steps of training in each block, for this many samples; 0 where nothing is trained. */
    default int trainingSteps(int samples) {
        return 0;
    }

    /** Samples in a step of training; 0 where nothing is trained. */
    default int trainingBatch() {
        return 0;
    }

    /** Whether it is trained on the calibration samples themselves. */
    default boolean learns() {
        return false;
    }
}
