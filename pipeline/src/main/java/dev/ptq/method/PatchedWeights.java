package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.format.Grid;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a model as methods left them: changed ones from the patches of its blocks, the rest from another
 * source. One patch is in memory at a time. Tensors that the model lacked, such as new biases, have no name here; they
 * come with {@link BlockPatch#applyTo}.
 */
public final class PatchedWeights implements WeightSource {
    private static final String WEIGHT = ".weight";

    private final WeightSource base;
    private final Reader reader;
    /** Blocks by the prefix of their tensors' names. */
    private final Map<String, Integer> blocks = new LinkedHashMap<>();

    private @Nullable Loaded loaded;

    /** Reads the patch of a block. */
    @FunctionalInterface
    public interface Reader {
        /** Returns the patch with its tensors attached to {@code manager}. */
        BlockPatch read(int block, NDManager manager) throws IOException;
    }

    /** The patch last read. */
    private record Loaded(int block, BlockPatch patch, NDManager manager) {}

    /**
     * Patches another source.
     *
     * @param base supplies what methods left alone; it stays open when this is closed
     * @param linears of the whole model
     */
    public PatchedWeights(WeightSource base, List<LinearSpec> linears, Reader reader) {
        this.base = base;
        this.reader = reader;
        for (LinearSpec linear : linears) {
            int length = linear.module().length() - linear.path().length();
            blocks.put(linear.module().substring(0, length), linear.block());
        }
    }

    @Override
    public Set<String> names() {
        return base.names();
    }

    @Override
    public Weight weight(String name) throws IOException {
        for (Map.Entry<String, Integer> block : blocks.entrySet()) {
            if (name.startsWith(block.getKey())) {
                return patched(
                        name,
                        patch(block.getValue()),
                        name.substring(block.getKey().length()));
            }
        }
        return base.weight(name);
    }

    private Weight patched(String name, BlockPatch patch, String path) throws IOException {
        Optional<NDArray> tensor = patch.tensor(path);
        if (tensor.isPresent()) {
            return new InMemory(name, tensor.get());
        }
        Optional<Grid> grid = path.endsWith(WEIGHT)
                ? patch.grid(path.substring(0, path.length() - WEIGHT.length()))
                : Optional.empty();
        return grid.isPresent() ? new OnGrid(name, grid.get()) : base.weight(name);
    }

    private BlockPatch patch(int block) throws IOException {
        if (loaded == null || loaded.block() != block) {
            forget();
            NDManager manager = TensorEngine.newManager();
            try {
                loaded = new Loaded(block, reader.read(block, manager), manager);
            } catch (IOException | RuntimeException e) {
                manager.close();
                throw e;
            }
        }
        return loaded.patch();
    }

    /** Hands over a block's patch: its tensors are attached to {@code manager}. */
    public BlockPatch take(int block, NDManager manager) throws IOException {
        BlockPatch patch = patch(block);
        patch.attach(manager);
        forget();
        return patch;
    }

    private void forget() {
        if (loaded != null) {
            loaded.manager().close();
            loaded = null;
        }
    }

    @Override
    public void close() {
        forget();
    }

    /** A tensor of the patch in memory. */
    private record InMemory(String name, NDArray tensor) implements Weight {
        @Override
        public List<Long> shape() {
            return Arrays.stream(tensor.getShape().getShape()).boxed().toList();
        }

        @Override
        public StoredType type() {
            return StoredType.F32;
        }

        @Override
        public String origin() {
            return name + " as methods left it";
        }

        @Override
        public NDArray load(NDManager manager) {
            NDArray copy = tensor.duplicate();
            copy.attach(manager);
            return copy;
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) {
            return part(manager, tensor.get(new NDIndex("{}:{}", from, to)));
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) {
            try (NDArray indices = NativeFloats.indices(manager, rows, rows.length)) {
                return part(manager, Torch.embedding(tensor, indices));
            }
        }

        private static NDArray part(NDManager manager, NDArray part) {
            try (NDArray found = part) {
                NDArray own = found.duplicate();
                own.attach(manager);
                return own;
            }
        }
    }

    /** A weight on its grid. */
    private record OnGrid(String name, Grid grid) implements Weight {
        @Override
        public List<Long> shape() {
            return Arrays.stream(grid.shape().getShape()).boxed().toList();
        }

        @Override
        public StoredType type() {
            return StoredType.F32;
        }

        @Override
        public String origin() {
            return name + " as a method rounded it";
        }

        @Override
        public NDArray load(NDManager manager) {
            return grid.values(manager);
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) {
            return inMemory(manager, whole -> whole.rows(manager, from, to));
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) {
            return inMemory(manager, whole -> whole.gather(manager, rows));
        }

        private NDArray inMemory(NDManager manager, Function<InMemory, NDArray> part) {
            try (NDManager scratch = manager.newSubManager()) {
                return part.apply(new InMemory(name, grid.values(scratch)));
            }
        }
    }
}
