package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The stored progress of long work, from which a later process resumes. Every file is replaced as a whole; unreadable
 * ones are ignored.
 *
 * @param folder used only by work with the same outcome; absent where nothing is kept
 * @param between saves of the hidden states of one pass, at the ends of blocks
 */
public record ResumeState(Optional<Path> folder, Duration between) {
    private static final Logger log = LoggerFactory.getLogger(ResumeState.class);
    private static final String BLOCKS = "blocks";
    private static final String BATCH = "batch.";
    private static final String CARRIED = "carried.";

    /** State that a pass gathers besides the hidden states. */
    public interface Carried {
        /** The state gathered from finished blocks. */
        Map<String, float[]> save() throws IOException;

        /**
         * Restores it.
         *
         * @throws IOException if that fails: the pass then starts over
         */
        void restore(Map<String, float[]> saved) throws IOException;

        /** No state. */
        static Carried nothing() {
            return new Carried() {
                @Override
                public Map<String, float[]> save() {
                    return Map.of();
                }

                @Override
                public void restore(Map<String, float[]> saved) {}
            };
        }
    }

    /** Keeps nothing. */
    public static ResumeState none() {
        return new ResumeState(Optional.empty(), Duration.ZERO);
    }

    /** One pass of hidden states through the blocks. */
    Pass pass(String name, Carried carried) {
        return new Pass(folder.map(path -> path.resolve(name + ".safetensors")), carried);
    }

    /** A pass that can be interrupted and resumed between two blocks. */
    final class Pass {
        private final Optional<Path> file;
        private final Carried carried;
        private long saved = System.nanoTime();

        private Pass(Optional<Path> file, Carried carried) {
            this.file = file;
            this.carried = carried;
        }

        /** Restores the hidden states of an earlier process, and returns the first block still to do. */
        int resume(HiddenStates states) {
            if (file.isEmpty() || !Files.exists(file.get())) {
                return 0;
            }
            try (Safetensors tensors = Safetensors.open(file.get());
                    NDManager scratch = TensorEngine.newManager()) {
                int done = Integer.parseInt(tensors.metadata().getOrDefault(BLOCKS, "0"));
                List<NDArray> batches = new ArrayList<>();
                for (int i = 0; i < states.size(); i++) {
                    batches.add(tensors.load(scratch, BATCH + i));
                    if (!batches.get(i).getShape().equals(states.batch(i).getShape())) {
                        throw new IOException(file.get() + ": not of this pass");
                    }
                }
                Map<String, float[]> gathered = new LinkedHashMap<>();
                for (String name : tensors.entries().keySet()) {
                    if (name.startsWith(CARRIED)) {
                        gathered.put(name.substring(CARRIED.length()), tensors.floats(name));
                    }
                }
                carried.restore(gathered);
                for (int i = 0; i < batches.size(); i++) {
                    states.replace(i, batches.get(i));
                }
                log.info("goes on after block {}", done - 1);
                return done;
            } catch (IOException | NumberFormatException e) {
                log.warn("{}: cannot be used, the pass starts anew: {}", file.get(), e.getMessage());
                return 0;
            }
        }

        /** Saves the pass if the last save is long enough ago. */
        void blockDone(int block, HiddenStates states) throws IOException {
            if (file.isEmpty() || System.nanoTime() - saved < between.toNanos()) {
                return;
            }
            try (NDManager scratch = TensorEngine.newManager()) {
                Map<String, NDArray> tensors = new LinkedHashMap<>();
                for (int i = 0; i < states.size(); i++) {
                    tensors.put(BATCH + i, states.batch(i));
                }
                carried.save()
                        .forEach((name, values) ->
                                tensors.put(CARRIED + name, NativeFloats.of(scratch, values, values.length)));
                SafetensorsWriter.write(file.get(), tensors, Map.of(BLOCKS, String.valueOf(block + 1)));
            }
            saved = System.nanoTime();
        }
    }

    /** The numbers kept under a name. */
    public Optional<double[]> numbers(String name) {
        if (folder.isEmpty() || !Files.exists(folder.get().resolve(name + ".txt"))) {
            return Optional.empty();
        }
        Path file = folder.get().resolve(name + ".txt");
        try {
            return Optional.of(Files.readAllLines(file).stream()
                    .mapToDouble(Double::parseDouble)
                    .toArray());
        } catch (IOException | NumberFormatException e) {
            log.warn("{}: cannot be used: {}", file, e.getMessage());
            return Optional.empty();
        }
    }

    /** Keeps numbers, to the last bit, and drops the pass of that name that they came from. */
    public void keep(String name, double[] numbers) throws IOException {
        if (folder.isPresent()) {
            Path file = folder.get().resolve(name + ".txt");
            Path partial = folder.get().resolve(name + ".partial");
            Files.writeString(
                    partial, Arrays.stream(numbers).mapToObj(Double::toString).collect(Collectors.joining("\n")));
            Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
            Files.deleteIfExists(folder.get().resolve(name + ".safetensors"));
        }
    }
}
