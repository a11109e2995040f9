package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.HookInput;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Statistics of the inputs of linears, and of caches, one per hook point, under names such as
 * {@code blocks.0.attn_in.max_batch_mean_abs}. Those of a {@link StatisticsFile} are in memory but for matrices and
 * histograms, which stay there until they are asked for.
 */
public final class ActivationStatistics {
    private final Map<String, float[]> values;
    private final Optional<Path> large;

    private ActivationStatistics(Map<String, float[]> values, Optional<Path> large) {
        this.values = values;
        this.large = large;
    }

    /** Watches a pass, or one block of it, and keeps everything in memory; see {@link #finished}. */
    public static final class Collector implements ActivationObserver, AutoCloseable {
        /** What a sum is of. */
        private record Key(int block, HookPoint hookPoint, Statistic statistic, int features) {
            int rows() {
                long[] shape = statistic.shape(features);
                return shape.length == 1 ? 1 : (int) shape[0];
            }

            int rowLength() {
                long[] shape = statistic.shape(features);
                return (int) shape[shape.length - 1];
            }
        }

        /** Takes in a finished statistic, row by row. */
        interface Target {
            void row(String name, int row, float[] values) throws IOException;
        }

        private final WantedStatistics wanted;
        private final int batchSize;
        /** Hook points may be seen at the same time, each by one thread. */
        private final Map<Key, Accumulator> accumulators = Collections.synchronizedMap(new LinkedHashMap<>());

        /**
         * Starts with nothing seen.
         *
         * @param batchSize sequences in a batch, for the statistics that are of batches
         */
        public Collector(WantedStatistics wanted, int batchSize) {
            this.wanted = wanted;
            this.batchSize = batchSize;
        }

        @Override
        public void observe(int block, HookPoint hookPoint, HookInput input) {
            int features = input.features();
            for (Statistic statistic : wanted.of(block, hookPoint)) {
                accumulators
                        .computeIfAbsent(
                                new Key(block, hookPoint, statistic, features),
                                key -> statistic.start(features, batchSize))
                        .add(input);
            }
        }

        @Override
        public boolean wants(int block, HookPoint hookPoint) {
            return !wanted.of(block, hookPoint).isEmpty();
        }

        @Override
        public boolean seesAllTokens() {
            return wanted.allTokens();
        }

        /** Returns the statistics of what was seen so far. */
        public ActivationStatistics finished() {
            Map<String, float[]> values = new LinkedHashMap<>();
            accumulators.forEach((key, accumulator) -> {
                float[] row = new float[key.rowLength()];
                float[] all = new float[Math.multiplyExact(key.rows(), row.length)];
                for (int i = 0; i < key.rows(); i++) {
                    accumulator.row(i, row);
                    System.arraycopy(row, 0, all, i * row.length, row.length);
                }
                values.put(name(key.block(), key.hookPoint(), key.statistic()), all);
            });
            return new ActivationStatistics(values, Optional.empty());
        }

        /** Hands over the statistics of what was seen, and has then seen nothing. */
        void moveTo(Target target) throws IOException {
            for (Map.Entry<Key, Accumulator> entry : accumulators.entrySet()) {
                Key key = entry.getKey();
                float[] row = new float[key.rowLength()];
                for (int i = 0; i < key.rows(); i++) {
                    entry.getValue().row(i, row);
                    target.row(name(key.block(), key.hookPoint(), key.statistic()), i, row);
                }
            }
            close();
        }

        /** Forgets what was seen and releases its memory. */
        @Override
        public void close() {
            accumulators.values().forEach(Accumulator::close);
            accumulators.clear();
        }
    }

    /** No statistics: what a pass without calibration has. */
    public static ActivationStatistics none() {
        return new ActivationStatistics(Map.of(), Optional.empty());
    }

    /** Reads a {@link StatisticsFile} that is finished. */
    public static ActivationStatistics read(Path file) throws IOException {
        Map<String, float[]> values = new LinkedHashMap<>();
        try (Safetensors tensors = Safetensors.open(file)) {
            for (Safetensors.Entry tensor : tensors.entries().values()) {
                if (tensor.shape().size() == 1) {
                    values.put(tensor.name(), tensors.floats(tensor.name()));
                }
            }
        }
        return new ActivationStatistics(values, Optional.of(file));
    }

    /**
     * The statistic of a linear's input, {@code [inFeatures]}.
     *
     * @throws IllegalArgumentException if it was not collected, or is a matrix
     */
    public float[] of(LinearSpec linear, Statistic statistic) {
        if (statistic.isLarge()) {
            throw new IllegalArgumentException(statistic.label() + " is not a value for each feature");
        }
        return of(linear.block(), linear.hookPoint(), statistic);
    }

    /**
     * The statistic of an input, {@code [features]}; of {@link Statistic#TOKENS} one number.
     *
     * @throws IllegalArgumentException if it was not collected
     */
    public float[] of(int block, HookPoint hookPoint, Statistic statistic) {
        return inMemory(block, hookPoint, statistic).clone();
    }

    /**
     * A matrix of a linear's input, {@code [inFeatures, inFeatures]}, float32, attached to {@code manager}.
     *
     * @throws IllegalArgumentException if it was not collected, or is no matrix
     */
    public NDArray matrix(NDManager manager, LinearSpec linear, Statistic statistic) throws IOException {
        if (!statistic.isMatrix()) {
            throw new IllegalArgumentException(statistic.label() + " is no matrix");
        }
        if (large.isEmpty()) {
            return NativeFloats.of(
                    manager,
                    inMemory(linear.block(), linear.hookPoint(), statistic),
                    statistic.shape(linear.inFeatures()));
        }
        return inFile(
                large.get(),
                name(linear.block(), linear.hookPoint(), statistic),
                statistic.shape(linear.inFeatures()),
                (tensors, name) -> tensors.load(manager, name));
    }

    /**
     * How often the values of an input occur, of all features together.
     *
     * @throws IllegalArgumentException if that was not collected
     */
    public ValueCounts valueCounts(int block, HookPoint hookPoint) throws IOException {
        Statistic statistic = Statistic.HISTOGRAM;
        return ValueCounts.of(
                large.isEmpty()
                        ? inMemory(block, hookPoint, statistic)
                        : inFile(
                                large.get(),
                                name(block, hookPoint, statistic),
                                // the same for any number of features
                                statistic.shape(1),
                                Safetensors::floats));
    }

    /** Reads a tensor. */
    @FunctionalInterface
    private interface Reading<T> {
        T read(Safetensors tensors, String name) throws IOException;
    }

    private static <T> T inFile(Path file, String name, long[] shape, Reading<T> reading) throws IOException {
        List<Long> expected = Arrays.stream(shape).boxed().toList();
        try (Safetensors tensors = Safetensors.open(file)) {
            if (!tensors.entries().containsKey(name)) {
                throw notCollected(name);
            }
            if (!tensors.shape(name).equals(expected)) {
                throw new IOException(tensors.file() + ": tensor " + name + " has shape " + tensors.shape(name)
                        + ", expected " + expected);
            }
            return reading.read(tensors, name);
        }
    }

    private float[] inMemory(int block, HookPoint hookPoint, Statistic statistic) {
        String name = name(block, hookPoint, statistic);
        float[] found = values.get(name);
        if (found == null) {
            throw notCollected(name);
        }
        return found;
    }

    private static IllegalArgumentException notCollected(String name) {
        return new IllegalArgumentException(name + " was not collected");
    }

    static String name(int block, HookPoint hookPoint, Statistic statistic) {
        return input(block, hookPoint) + "." + statistic.label();
    }

    static String input(int block, HookPoint hookPoint) {
        return "blocks." + block + "." + hookPoint.label();
    }
}
