package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A decoder block in memory: its linears, its norms, and the formats of its attention products. */
public final class Block implements AutoCloseable {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";

    /** Name ending of a matrix that multiplies a norm's output. */
    private static final String MATRIX = ".matrix";

    private final int index;
    private final NDManager manager;
    private final Map<String, Linear> linears = new LinkedHashMap<>();
    private final Map<String, NDArray> norms = new LinkedHashMap<>();
    private final Map<String, NDArray> matrices = new LinkedHashMap<>();
    private AttentionFormats attention = AttentionFormats.none();

    Block(int index, NDManager manager) {
        this.index = index;
        this.manager = manager;
    }

    /** The block's index in the model, from 0. */
    public int index() {
        return index;
    }

    /** The manager that owns the block's tensors and is closed with it. */
    public NDManager manager() {
        return manager;
    }

    /** The linears, in computation order. */
    public Collection<Linear> linears() {
        return linears.values();
    }

    void add(Linear linear) {
        if (linears.putIfAbsent(linear.spec().path(), linear) != null) {
            throw new IllegalStateException(
                    "block " + index + " has two linears " + linear.spec().path());
        }
    }

    /** Adds a weight or bias of a norm, by its path. */
    void addNorm(String path, NDArray values) {
        if (norms.putIfAbsent(path, values) != null || linears.containsKey(parent(path))) {
            throw new IllegalStateException("block " + index + " has two tensors " + path);
        }
    }

    /** The linear at a path in the block. */
    public Linear linear(String path) {
        return present(linears.get(path), path);
    }

    NDArray norm(String path) {
        return present(norms.get(path), path);
    }

    /** Like {@link #norm}, for tensors that not every block has. */
    @Nullable
    NDArray optionalNorm(String path) {
        return norms.get(path);
    }

    AttentionFormats attention() {
        return attention;
    }

    /** Sets the formats of both attention products. */
    public void quantizeAttention(AttentionFormats formats) {
        attention = formats;
    }

    /** Returns whether activations in the block are rounded. */
    boolean roundsActivations() {
        return !attention.isNone() || linears.values().stream().anyMatch(Linear::roundsActivations);
    }

    /** Returns whether what the block makes of a sequence depends on the others of its batch. */
    boolean spansBatch() {
        return linears.values().stream().anyMatch(Linear::spansBatch);
    }

    /**
     * The tensors by their paths in the block, such as {@code self_attn.q_proj.weight}, {@code self_attn.q_proj.bias},
     * {@code input_layernorm.weight} and, where a transform put a matrix behind a norm, {@code input_layernorm.matrix}.
     */
    public Map<String, NDArray> tensors() {
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        linears.forEach((path, linear) -> {
            tensors.put(path + WEIGHT, linear.weight());
            NDArray bias = linear.bias();
            if (bias != null) {
                tensors.put(path + BIAS, bias);
            }
        });
        tensors.putAll(norms);
        matrices.forEach((norm, matrix) -> tensors.put(norm + MATRIX, matrix));
        return tensors;
    }

    /** Returns whether a name of {@link #tensors} is that of a matrix that runs with the block. */
    public static boolean isMatrix(String name) {
        return name.endsWith(MATRIX);
    }

    /**
     * Replaces tensors, by the names of {@link #tensors}; the others stay. New names may be biases of linears that had
     * none, a bias of an RMSNorm, {@code input_layernorm.bias}, and a matrix {@code input_layernorm.matrix}, {@code
     * [hiddenSize, hiddenSize]}, that multiplies a norm's output, one row per token.
     */
    public void replace(Map<String, NDArray> tensors) {
        linears.forEach((path, linear) -> linear.replace(
                tensors.getOrDefault(path + WEIGHT, linear.weight()),
                tensors.getOrDefault(path + BIAS, linear.bias())));
        tensors.forEach((name, tensor) -> {
            if (isMatrix(name)) {
                matrices.put(parent(name), tensor);
            } else if (!linears.containsKey(parent(name))) {
                norms.put(name, tensor);
            }
        });
    }

    /**
     * Multiplies the weight of the first norm that has one.
     *
     * @throws IllegalArgumentException if none has
     */
    public void scaleNorm(double factor) {
        String name = norms.keySet().stream()
                .filter(path -> path.endsWith(WEIGHT))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("block " + index + " has no norm with a weight"));
        NDArray scaled = norm(name).mul(factor);
        scaled.attach(manager);
        norms.put(name, scaled);
    }

    private static String parent(String path) {
        return path.substring(0, path.lastIndexOf('.'));
    }

    /**
     * Returns a block of the same layers and activation formats, with other tensors. These remain their owner's;
     * closing the new block leaves them, and this one, as they are.
     *
     * @param tensors as for {@link #replace}
     */
    public Block with(Map<String, NDArray> tensors) {
        Block other = new Block(index, manager.newSubManager());
        linears.values().forEach(linear -> other.add(linear.copy()));
        other.norms.putAll(norms);
        other.matrices.putAll(matrices);
        other.replace(tensors);
        other.attention = attention;
        return other;
    }

    /** Returns a norm's output, multiplied by the matrix that a transform put behind it, if any. */
    NDArray behindNorm(String norm, NDArray normed) {
        NDArray matrix = matrices.get(norm);
        return matrix == null ? normed : normed.matMul(matrix);
    }

    private <T> T present(@Nullable T part, String name) {
        if (part == null) {
            throw new IllegalArgumentException("block " + index + " has no " + name);
        }
        return part;
    }

    @Override
    public void close() {
        manager.close();
    }
}
