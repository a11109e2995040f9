package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A decoder block in memory: its linears, its norms, and the formats of its attention products. */
public final class Block implements AutoCloseable {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";

    private final int index;
    private final NDManager manager;
    private final Map<String, Linear> linears = new LinkedHashMap<>();
    private final Map<String, NDArray> norms = new LinkedHashMap<>();
    private AttentionFormats attention = AttentionFormats.none();
    private boolean differentiable;
    private UnaryOperator<NDArray> dropout = UnaryOperator.identity();

    Block(int index, NDManager manager) {
        this.index = index;
        this.manager = manager;
    }

    /** Which block of the model this is, from 0. */
    public int index() {
        return index;
    }

    /** Owns the block's tensors, and is closed with it. */
    public NDManager manager() {
        return manager;
    }

    /** The linears in the order of the computation. */
    public Collection<Linear> linears() {
        return linears.values();
    }

    void add(Linear linear) {
        linears.put(linear.spec().shortName(), linear);
    }

    void addNorm(String name, NDArray values) {
        norms.put(name, values);
    }

    NDArray norm(String name) {
        return present(norms.get(name), name);
    }

    /** As {@link #norm}, of what not every block has. */
    @Nullable
    NDArray optionalNorm(String name) {
        return norms.get(name);
    }

    AttentionFormats attention() {
        return attention;
    }

    /** Sets the formats of both attention products. */
    public void quantizeAttention(AttentionFormats formats) {
        attention = formats;
    }

    /** Whether what flows through the block is rounded. */
    boolean roundsActivations() {
        return !attention.isNone() || linears.values().stream().anyMatch(Linear::roundsActivations);
    }

    /**
     * The tensors by the last words of their names, such as {@code q_proj.weight}, {@code q_proj.bias} and
     * {@code input_layernorm.weight}.
     */
    public Map<String, NDArray> tensors() {
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        linears.forEach((name, linear) -> {
            tensors.put(name + WEIGHT, linear.weight());
            NDArray bias = linear.bias();
            if (bias != null) {
                tensors.put(name + BIAS, bias);
            }
        });
        tensors.putAll(norms);
        return tensors;
    }

    /**
     * Takes other tensors, by the names of {@link #tensors}; those that are not named stay. Beside those there may be
     * biases of linears that had none, a bias of an RMSNorm, {@code input_layernorm.bias}, and a matrix {@code
     * input_layernorm.matrix}, {@code [hiddenSize, hiddenSize]}, that a norm's output, a row per token, is multiplied by.
     *
     * @param onGrid the linears whose weights are on the grids of their formats already
     */
    public void replace(Map<String, NDArray> tensors, Predicate<LinearSpec> onGrid) {
        linears.forEach((name, linear) -> linear.replace(
                present(tensors.getOrDefault(name + WEIGHT, linear.weight()), name),
                tensors.getOrDefault(name + BIAS, linear.bias()),
                onGrid.test(linear.spec())));
        tensors.forEach((name, tensor) -> {
            if (!linears.containsKey(name.substring(0, name.lastIndexOf('.')))) {
                norms.put(name, tensor);
            }
        });
    }

    /**
     * Returns a block of the same layers, with the same formats of what flows through it, and other tensors. These stay
     * their owner's; closing the new block leaves them, and this one, as they are.
     *
     * @param tensors as for {@link #replace}
     * @param onGrid whether the weights of linears are on the grids of their formats already
     */
    public Block with(Map<String, NDArray> tensors, boolean onGrid) {
        Block other = new Block(index, manager.newSubManager());
        linears.values().forEach(linear -> other.add(linear.copy()));
        other.norms.putAll(norms);
        other.replace(tensors, linear -> onGrid);
        other.attention = attention;
        other.differentiable = differentiable;
        return other;
    }

    /** Returns a norm's output with the matrix applied that a transform put behind it, if one did. */
    NDArray behindNorm(String name, NDArray normed) {
        NDArray matrix = norms.get(name + ".matrix");
        return matrix == null ? normed : normed.matMul(matrix);
    }

    /** Lets gradients flow through the block: nothing is computed in place. */
    public void makeDifferentiable() {
        differentiable = true;
        linears.values().forEach(Linear::makeDifferentiable);
    }

    boolean differentiable() {
        return differentiable;
    }

    /** Sets what is done with the outputs of attention and MLP before they are added to the residual stream. */
    void dropout(UnaryOperator<NDArray> operator) {
        dropout = operator;
    }

    /** Returns the output of attention or MLP as it enters the residual stream. */
    NDArray dropped(NDArray output) {
        return dropout.apply(output);
    }

    /**
     * Applies linears that share an input; it is rounded once per format.
     *
     * @param input contiguous, and the caller's to lose: where all linears have one format it is rounded in place
     * @param names short names of linears at {@code hookPoint}
     * @return their outputs in the same order
     */
    List<NDArray> project(HookPoint hookPoint, NDArray input, ActivationObserver observer, String... names) {
        observer.observe(index, hookPoint, input);
        List<Linear> sharing = Arrays.stream(names)
                .map(name -> present(linears.get(name), name))
                .toList();
        Map<NumberFormat, NDArray> rounded = new LinkedHashMap<>();
        sharing.forEach(linear -> rounded.put(linear.activation(), input));
        boolean inPlace = rounded.size() == 1;
        rounded.replaceAll((format, same) -> {
            if (differentiable) {
                return format.isNone() ? same : format.differentiable(same, Operand.ACTIVATION);
            }
            return inPlace
                    ? format.fakeQuantizeInPlace(same, Operand.ACTIVATION)
                    : format.fakeQuantize(same, Operand.ACTIVATION);
        });
        List<NDArray> outputs = new ArrayList<>();
        for (Linear linear : sharing) {
            outputs.add(linear.forward(present(rounded.get(linear.activation()), "input")));
        }
        return outputs;
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
