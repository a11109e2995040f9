package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Bounds;
import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.Operand;
import dev.ptq.model.Block;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.LowRankFormats;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * The changes that methods leave in a block, by paths in the block: weights on their grids, other changed tensors,
 * matrices that run behind norms, low-rank paths, and input ranges. Weights reach a model through {@link
 * PatchedWeights}, all else through {@link #applyTo}.
 *
 * <p>Each block has a file with {@code PATH.codes}, {@code PATH.scale} and the other parts of a {@link Grid} of the
 * linear at PATH, and with tensors under their paths; factors are {@code MODULE.A} and {@code MODULE.B} in one file for
 * all blocks. Formats, errors and ranges are in the metadata.
 */
public final class BlockPatch {
    /** Version key in the metadata of a block's file: raised when the meaning of its contents changes. */
    private static final String VERSION = "version";

    private static final String CURRENT = "2";
    private static final String GRIDS = "grids";
    private static final String RANGES = "activation_ranges";
    /** Key in the metadata of the factors' file. */
    private static final String PATHS = "paths";

    private static final String A = ".A";
    private static final String B = ".B";

    private final Map<String, NDArray> tensors = new LinkedHashMap<>();
    private final Map<String, Rounded> grids = new LinkedHashMap<>();
    private final Map<String, LowRank> paths = new LinkedHashMap<>();
    private final Map<String, List<Bounds>> ranges = new LinkedHashMap<>();

    /**
     * A weight on its grid.
     *
     * @param error relative, {@code ||W - Wq|| / ||W||}, Frobenius, with {@code W} as transformed
     */
    record Rounded(Grid grid, double error) {}

    /** A grid's metadata. */
    private record StoredGrid(String format, double error) {}

    /**
     * A path's metadata.
     *
     * @param input absent: the rounded one
     * @param sharing absent: 1
     */
    private record StoredPath(
            String factor,
            Optional<String> productA,
            Optional<String> productB,
            Optional<LowRankFormats.Input> input,
            Optional<Integer> sharing) {
        static StoredPath of(LowRank path) {
            LowRankFormats formats = path.formats();
            return new StoredPath(
                    Formats.written(formats.factor()),
                    formats.productA().map(Formats::written),
                    formats.productB().map(Formats::written),
                    Optional.of(formats.input()).filter(input -> input != LowRankFormats.Input.ROUNDED),
                    Optional.of(path.sharing()).filter(sharing -> sharing > 1));
        }

        LowRank path(Path file, NDArray a, NDArray b) {
            String source = file.toString();
            LowRankFormats formats = new LowRankFormats(
                    Formats.parse(factor, source),
                    productA.map(written -> Formats.parse(written, source)),
                    productB.map(written -> Formats.parse(written, source)),
                    input.orElse(LowRankFormats.Input.ROUNDED));
            return new LowRank(a, b, formats, sharing.orElse(1));
        }
    }

    /** Keeps a tensor that differs from the model's, or a matrix, under a name of {@link Block#tensors}. */
    void change(String name, NDArray tensor) {
        tensors.put(name, tensor);
    }

    /** Keeps the weight of the linear at a path, on its grid. */
    void round(String path, Grid grid, double error) {
        grids.put(path, new Rounded(grid, error));
    }

    /** Keeps the low-rank path of the linear at a path. */
    void correct(String path, LowRank lowRank) {
        paths.put(path, lowRank);
    }

    /**
     * Keeps the input range of the linear at a path, or that of each feature; or, under its label, that of a hook point of
     * the cache.
     */
    void range(String path, List<Bounds> range) {
        ranges.put(path, range);
    }

    /** Returns whether tensors, grids or ranges are kept; otherwise the block has no file. */
    public boolean changesWeights() {
        return !(tensors.isEmpty() && grids.isEmpty() && ranges.isEmpty());
    }

    /** The low-rank path of the linear at a path, if it has one. */
    public Optional<LowRank> lowRank(String path) {
        return Optional.ofNullable(paths.get(path));
    }

    /** The weight grid of the linear at a path, if a method made one. */
    public Optional<Grid> grid(String path) {
        return Optional.ofNullable(grids.get(path)).map(Rounded::grid);
    }

    /** The relative error of a weight kept on its grid. */
    public Optional<Double> roundingError(String path) {
        return Optional.ofNullable(grids.get(path)).map(Rounded::error);
    }

    /** Returns whether a tensor was changed and not rounded, by a name of {@link Block#tensors}. */
    public boolean changes(String name) {
        return tensors.containsKey(name);
    }

    /** A changed tensor, by a name of {@link Block#tensors}. */
    Optional<NDArray> tensor(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /** Storage in bits of the matrices that run with the block, which stay in float32. */
    public double matrixBits() {
        return (double) Float.SIZE * matrixValues();
    }

    /** The entries of these matrices. */
    public long matrixValues() {
        return tensors.entrySet().stream()
                .filter(entry -> Block.isMatrix(entry.getKey()))
                .mapToLong(entry -> entry.getValue().size())
                .sum();
    }

    /** Attaches its tensors to a manager. */
    void attach(NDManager manager) {
        tensors.values().forEach(tensor -> tensor.attach(manager));
        paths.values().forEach(path -> {
            path.a().attach(manager);
            path.b().attach(manager);
        });
    }

    /**
     * Applies everything but the weights to a block that gets them from {@link PatchedWeights}; it then owns none of
     * the tensors.
     */
    public void applyTo(Block block) {
        block.replace(tensors);
        for (Linear linear : block.linears()) {
            lowRank(linear.spec().path()).ifPresent(linear::correct);
        }
    }

    /** Writes all but the factors; the file gets its name once it is complete. */
    public void writeWeights(Path file) throws IOException {
        Map<String, RawTensor> parts = new LinkedHashMap<>();
        Map<String, StoredGrid> stored = new LinkedHashMap<>();
        grids.forEach((path, rounded) -> {
            rounded.grid().parts().forEach((name, part) -> parts.put(path + "." + name, part));
            stored.put(path, new StoredGrid(Formats.written(rounded.grid().format()), rounded.error()));
        });
        JsonMapper json = JsonMapper.shared();
        SafetensorsWriter.write(
                file,
                tensors,
                parts,
                Map.of(
                        VERSION,
                        CURRENT,
                        GRIDS,
                        json.writeValueAsString(stored),
                        RANGES,
                        json.writeValueAsString(ranges)));
    }

    /** The factors of the paths, {@code MODULE.A} and {@code MODULE.B}, and the metadata of their file. */
    public static final class Factors {
        private final Map<String, NDArray> tensors = new LinkedHashMap<>();
        private final Map<String, StoredPath> formats = new LinkedHashMap<>();

        /** Adds the factors of a block. */
        public void add(BlockPatch patch, Iterable<LinearSpec> linears) {
            for (LinearSpec linear : linears) {
                patch.lowRank(linear.path()).ifPresent(path -> {
                    tensors.put(linear.module() + A, path.a());
                    tensors.put(linear.module() + B, path.b());
                    formats.put(linear.module(), StoredPath.of(path));
                });
            }
        }

        /** Writes the file. */
        public void write(Path file) throws IOException {
            SafetensorsWriter.write(file, tensors, written(formats));
        }

        /** Writes the factors in the files of blocks to one file, a tensor at a time. */
        public static void join(Path file, List<Path> ofBlocks) throws IOException {
            Map<String, StoredPath> all = new LinkedHashMap<>();
            for (Path ofBlock : ofBlocks) {
                try (Safetensors saved = Safetensors.open(ofBlock)) {
                    all.putAll(metadata(saved, PATHS, new TypeReference<Map<String, StoredPath>>() {}));
                }
            }
            SafetensorsWriter.join(file, ofBlocks, written(all));
        }

        private static Map<String, String> written(Map<String, StoredPath> formats) {
            return Map.of(VERSION, CURRENT, PATHS, JsonMapper.shared().writeValueAsString(formats));
        }
    }

    /**
     * Reads a patch.
     *
     * @param manager that owns its tensors
     * @param weights the block's file; absent where methods changed no tensor
     * @param factors the file with its factors, and perhaps those of other blocks
     * @param linears of the block
     * @throws IOException naming the file and the part that is missing or wrong
     */
    public static BlockPatch read(NDManager manager, Path weights, Path factors, List<LinearSpec> linears)
            throws IOException {
        BlockPatch patch = new BlockPatch();
        if (Files.exists(weights)) {
            try (Safetensors file = Safetensors.open(weights)) {
                patch.readWeights(manager, file, linears);
            }
        }
        try (Safetensors file = Safetensors.open(factors)) {
            Map<String, StoredPath> stored = metadata(file, PATHS, new TypeReference<>() {});
            for (LinearSpec linear : linears) {
                StoredPath path = stored.get(linear.module());
                if (path != null) {
                    NDArray a = file.load(manager, linear.module() + A);
                    NDArray b = file.load(manager, linear.module() + B);
                    requireFactors(file, linear, a.getShape(), b.getShape());
                    patch.correct(linear.path(), path.path(factors, a, b));
                }
            }
        }
        return patch;
    }

    private static void requireFactors(Safetensors file, LinearSpec linear, Shape a, Shape b) throws IOException {
        if (a.dimension() != 2
                || b.dimension() != 2
                || a.get(0) != linear.inFeatures()
                || b.get(1) != linear.outFeatures()
                || a.get(1) != b.get(0)) {
            throw new IOException(file.file() + ": " + linear.module() + ": expected factors [" + linear.inFeatures()
                    + ", rank] and [rank, " + linear.outFeatures() + "], got " + a + " and " + b);
        }
    }

    private void readWeights(NDManager manager, Safetensors file, List<LinearSpec> linears) throws IOException {
        if (!CURRENT.equals(file.metadata().get(VERSION))) {
            throw new IOException(
                    file.file() + ": written by version " + file.metadata().getOrDefault(VERSION, "1")
                            + " of this layout, this program reads version " + CURRENT
                            + "; make the results again, with --force approximate");
        }
        Map<String, StoredGrid> stored = metadata(file, GRIDS, new TypeReference<>() {});
        Map<String, Map<String, RawTensor>> parts = new LinkedHashMap<>();
        for (String name : file.entries().keySet()) {
            int dot = name.lastIndexOf('.');
            String parent = name.substring(0, Math.max(0, dot));
            if (stored.containsKey(parent) && !name.endsWith(".bias")) {
                parts.computeIfAbsent(parent, path -> new LinkedHashMap<>())
                        .put(name.substring(dot + 1), file.raw(name));
            } else {
                change(name, file.load(manager, name));
            }
        }
        for (LinearSpec linear : linears) {
            StoredGrid grid = stored.remove(linear.path());
            if (grid != null) {
                Shape shape = new Shape(linear.outFeatures(), linear.inFeatures());
                Map<String, RawTensor> own = parts.getOrDefault(linear.path(), Map.of());
                try {
                    round(
                            linear.path(),
                            Grid.read(Formats.parse(grid.format(), file.file().toString()), shape, Operand.WEIGHT, own),
                            grid.error());
                } catch (IOException | IllegalArgumentException e) {
                    throw new IOException(file.file() + ": " + linear.path() + ": " + e.getMessage(), e);
                }
            }
        }
        if (!stored.isEmpty()) {
            throw new IOException(
                    file.file() + ": the block has no linears " + stored.keySet() + "; is it of another model?");
        }
        ranges.putAll(ranges(file));
    }

    /**
     * Reads the ranges alone, by path of the linear or label of the cache's hook point.
     *
     * @param weights the block's file; absent where methods changed no tensor
     */
    public static Map<String, List<Bounds>> ranges(Path weights) throws IOException {
        if (!Files.exists(weights)) {
            return Map.of();
        }
        try (Safetensors file = Safetensors.open(weights)) {
            return ranges(file);
        }
    }

    private static Map<String, List<Bounds>> ranges(Safetensors file) throws IOException {
        return metadata(file, RANGES, new TypeReference<>() {});
    }

    private static <T> Map<String, T> metadata(Safetensors file, String key, TypeReference<Map<String, T>> type)
            throws IOException {
        try {
            return new LinkedHashMap<>(
                    JsonMapper.shared().readValue(file.metadata().getOrDefault(key, "{}"), type));
        } catch (JacksonException e) {
            throw new IOException(file.file() + ": " + key + " cannot be read", e);
        }
    }
}
