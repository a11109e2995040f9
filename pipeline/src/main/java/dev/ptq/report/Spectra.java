package dev.ptq.report;

import dev.ptq.artifact.RunFiles;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The singular values of a run's weight errors, as many as a curve needs.
 *
 * @param byKind blocks by the kind of their linears, in the order of the file
 */
record Spectra(Map<String, TreeMap<Integer, Pair>> byKind) {
    private static final String FILE = RunFiles.SINGULAR_VALUES;
    private static final String ERROR = ".error";
    private static final String SCALED = ".scaled_error";
    private static final long MOST_BYTES = 64L << 20;
    private static final int MOST_TENSORS = 20_000;
    private static final long MOST_VALUES = 1 << 16;
    private static final int MOST_POINTS = 40;

    /** A singular value, its place in the order, from 1, and its share of the Frobenius norm. */
    record Value(int place, double share) {}

    /** The spectra of one linear's error: unweighted, and in the metric of the method. */
    record Pair(List<Value> error, List<Value> scaled) {}

    /**
     * Reads the file of a run.
     *
     * @return empty if the run has none
     * @throws IOException if it cannot be trusted
     */
    static Optional<Spectra> read(Path run) throws IOException {
        Path folder = run.resolve(RunFiles.APPROXIMATE);
        Path file = folder.resolve(FILE);
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS) || !Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
            throw new IOException(FILE + ": expected a plain file");
        }
        if (Files.size(file) > MOST_BYTES) {
            throw new IOException(FILE + ": expected at most " + (MOST_BYTES >> 20) + " MiB, found "
                    + (Files.size(file) >> 20) + " MiB or more");
        }
        try (Safetensors tensors = Safetensors.open(file)) {
            return Optional.of(new Spectra(read(tensors))).filter(spectra -> !spectra.byKind.isEmpty());
        } catch (IOException e) {
            // messages name files without their folder
            throw new IOException(
                    String.valueOf(e.getMessage())
                            .replace(folder + file.getFileSystem().getSeparator(), ""),
                    e);
        }
    }

    private static Map<String, TreeMap<Integer, Pair>> read(Safetensors tensors) throws IOException {
        if (tensors.entries().size() > MOST_TENSORS) {
            throw new IOException(FILE + ": expected at most " + MOST_TENSORS + " tensors, found "
                    + tensors.entries().size());
        }
        Map<String, TreeMap<Integer, Pair>> byKind = new LinkedHashMap<>();
        for (String name : tensors.entries().keySet()) {
            if (name.endsWith(ERROR)) {
                String module = name.substring(0, name.length() - ERROR.length());
                Optional<LinearName> linear = LinearName.of(module);
                if (linear.isPresent() && tensors.entries().containsKey(module + SCALED)) {
                    byKind.computeIfAbsent(linear.get().kind(), kind -> new TreeMap<>())
                            .put(
                                    linear.get().block(),
                                    new Pair(values(tensors, name), values(tensors, module + SCALED)));
                }
            }
        }
        return byKind;
    }

    private static List<Value> values(Safetensors tensors, String name) throws IOException {
        long size = Objects.requireNonNull(tensors.entries().get(name)).size();
        if (size > MOST_VALUES) {
            throw new IOException(FILE + ": " + name + ": expected at most " + MOST_VALUES + " values, found " + size);
        }
        float[] all = tensors.floats(name);
        double squares = 0;
        for (float value : all) {
            if (!(value >= 0 && value < Float.POSITIVE_INFINITY)) {
                throw new IOException(FILE + ": " + name + ": expected values from 0, found " + value);
            }
            squares += (double) value * value;
        }
        List<Value> values = new ArrayList<>();
        int last = 0;
        for (int i = 0; i < MOST_POINTS; i++) {
            // spaced for a logarithmic axis
            int place = (int) Math.rint(Math.pow(all.length, i / (MOST_POINTS - 1.0)));
            if (place > last && place <= all.length && all[place - 1] > 0) {
                values.add(new Value(place, all[place - 1] / Math.sqrt(squares)));
                last = place;
            }
        }
        return values;
    }
}
