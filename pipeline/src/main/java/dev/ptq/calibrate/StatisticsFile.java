package dev.ptq.calibrate;

import dev.ptq.model.ActivationObserver;
import dev.ptq.model.HookInput;
import dev.ptq.model.HookPoint;
import dev.ptq.model.InputSpec;
import dev.ptq.model.ResumeState;
import dev.ptq.weights.SafetensorsSlots;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Watches a pass through a model, block after block, and writes the statistics of each block to a safetensors file when
 * the next one begins: memory follows one block. A pass that goes on from where a killed one was finds its blocks there.
 */
public final class StatisticsFile implements ActivationObserver, ResumeState.Carried, AutoCloseable {
    private static final float[] WRITTEN = {1};

    private final Path file;
    private final Map<String, long[]> shapes = new LinkedHashMap<>();
    private final ActivationStatistics.Collector collector;
    private final Set<String> written = new HashSet<>();
    /** Absent until there is something to write: a pass that fails in its first block leaves no file. */
    private @Nullable SafetensorsSlots slots;

    private int block;

    /**
     * Begins with nothing seen.
     *
     * @param file that is made, or that a killed pass left
     * @param inputs of the whole model, its caches included
     * @param batchSize sequences in a batch, for the statistics that are of batches
     */
    public StatisticsFile(Path file, List<InputSpec> inputs, WantedStatistics wanted, int batchSize) {
        this.file = file;
        for (InputSpec input : inputs) {
            for (Statistic statistic : wanted.of(input.block(), input.hookPoint())) {
                shapes.put(
                        ActivationStatistics.name(input.block(), input.hookPoint(), statistic),
                        statistic.shape(input.features()));
            }
        }
        collector = new ActivationStatistics.Collector(wanted, batchSize);
    }

    @Override
    public void observe(int block, HookPoint hookPoint, HookInput input) {
        if (block != this.block) {
            try {
                writeBlock();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            this.block = block;
        }
        collector.observe(block, hookPoint, input);
    }

    @Override
    public boolean wants(int block, HookPoint hookPoint) {
        return collector.wants(block, hookPoint);
    }

    @Override
    public boolean seesAllTokens() {
        return collector.seesAllTokens();
    }

    private SafetensorsSlots slots() throws IOException {
        if (slots == null) {
            slots = SafetensorsSlots.open(file, shapes);
        }
        return slots;
    }

    private void writeBlock() throws IOException {
        collector.moveTo((name, row, values) -> {
            if (row == 0 && !written.add(name)) {
                throw new IllegalStateException(name + " was seen to its end before");
            }
            slots().write(name, (long) row * values.length, values);
        });
    }

    /** Completes the file; what it holds can then be read by {@link ActivationStatistics#read}. */
    public void finish() throws IOException {
        writeBlock();
        for (String name : shapes.keySet()) {
            if (!written.contains(name)) {
                throw new IllegalStateException(name + " was not seen");
            }
        }
    }

    /** The names of what is in the file. */
    @Override
    public Map<String, float[]> save() throws IOException {
        writeBlock();
        slots().force();
        Map<String, float[]> names = new LinkedHashMap<>();
        written.forEach(name -> names.put(name, WRITTEN));
        return names;
    }

    @Override
    public void restore(Map<String, float[]> saved) throws IOException {
        if (slots().isNew()) {
            throw new IOException(file + ": the statistics of the blocks that were done are gone");
        }
        written.addAll(saved.keySet());
    }

    @Override
    public void close() throws IOException {
        collector.close();
        if (slots != null) {
            slots.close();
        }
    }
}
