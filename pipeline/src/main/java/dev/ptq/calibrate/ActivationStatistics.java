package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.Site;
import dev.ptq.model.Unfinished;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Safetensors;
import dev.ptq.tensor.SafetensorsWriter;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * Statistics of the inputs of a model's linears, one per input site, kept in a safetensors file under names such as
 * {@code blocks.0.attn_in.max_batch_mean_abs}.
 */
public final class ActivationStatistics {
    private final Map<String, float[]> values;

    private ActivationStatistics(Map<String, float[]> values) {
        this.values = values;
    }

    /** Watches a full-precision pass; see {@link #finished}. */
    public static final class Collector implements ActivationObserver, Unfinished.Carried {
        private final Set<Statistic> wanted;
        private final Map<String, float[]> restored = new LinkedHashMap<>();
        private final Map<String, Accumulator> accumulators = new LinkedHashMap<>();

        /** Starts with nothing seen. */
        public Collector(Set<Statistic> wanted) {
            this.wanted = wanted;
        }

        @Override
        public void observe(int block, Site site, NDArray input) {
            for (Statistic statistic : wanted) {
                accumulators
                        .computeIfAbsent(key(block, site, statistic), key -> statistic.start())
                        .add(input);
            }
        }

        /** Returns the statistics of what was seen. */
        public ActivationStatistics finished() {
            return new ActivationStatistics(save());
        }

        @Override
        public Map<String, float[]> save() {
            Map<String, float[]> values = new LinkedHashMap<>(restored);
            accumulators.forEach((key, accumulator) -> values.put(key, accumulator.result()));
            return values;
        }

        /** A block that was done before has its final statistics: nothing is added to them. */
        @Override
        public void restore(Map<String, float[]> saved) {
            restored.putAll(saved);
        }
    }

    /** No statistics: what a pass without calibration has. */
    public static ActivationStatistics none() {
        return new ActivationStatistics(Map.of());
    }

    /** Reads a file that {@link #write} wrote. */
    public static ActivationStatistics read(Path file) throws IOException {
        Map<String, float[]> values = new LinkedHashMap<>();
        try (Safetensors tensors = Safetensors.open(file)) {
            for (String name : tensors.entries().keySet()) {
                values.put(name, tensors.floats(name));
            }
        }
        return new ActivationStatistics(values);
    }

    /** Writes a safetensors file. */
    public void write(Path file) throws IOException {
        try (NDManager manager = TensorEngine.newManager()) {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            values.forEach((name, array) -> tensors.put(name, NativeFloats.of(manager, array, array.length)));
            SafetensorsWriter.write(file, tensors, Map.of());
        }
    }

    /**
     * The statistic of a linear's input, {@code [inFeatures]}.
     *
     * @throws IllegalArgumentException if it was not collected
     */
    public float[] of(LinearSpec linear, Statistic statistic) {
        float[] found = values.get(key(linear.block(), linear.site(), statistic));
        if (found == null) {
            throw new IllegalArgumentException(statistic.label() + " of " + linear.module() + " was not collected");
        }
        return found.clone();
    }

    private static String key(int block, Site site, Statistic statistic) {
        return "blocks." + block + "." + site.label() + "." + statistic.label();
    }
}
