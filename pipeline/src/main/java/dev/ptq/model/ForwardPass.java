package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.family.AttentionShape;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** One batch passing through one block: everything a family's forward pass needs besides the hidden states. */
record ForwardPass(Block block, SequenceConstants constants, ActivationObserver observer, Operators operators) {
    /** The same with another observer. */
    ForwardPass observedBy(ActivationObserver other) {
        return new ForwardPass(block, constants, other, operators);
    }

    /**
     * Applies linears that share an input, which is rounded once per format.
     *
     * @param input contiguous, and given up by the caller: where all linears have one format, and none has a path that
     *     reads it unrounded, it is rounded in place
     * @param paths of linears at {@code hookPoint}
     * @return their outputs in the same order
     */
    List<NDArray> project(HookPoint hookPoint, NDArray input, String... paths) {
        observer.observe(block.index(), hookPoint, input);
        List<Linear> sharing = Arrays.stream(paths).map(block::linear).toList();
        Map<NumberFormat, NDArray> rounded = new LinkedHashMap<>();
        sharing.forEach(linear -> rounded.put(linear.activation(), input));
        boolean inPlace = rounded.size() == 1 && sharing.stream().noneMatch(Linear::readsUnrounded);
        rounded.replaceAll((format, same) -> inPlace
                ? operators.round(format, same, Operand.ACTIVATION)
                : operators.rounded(format, same, Operand.ACTIVATION));
        List<NDArray> outputs = new ArrayList<>();
        for (Linear linear : sharing) {
            outputs.add(linear.forward(Objects.requireNonNull(rounded.get(linear.activation())), input, operators));
        }
        return outputs;
    }

    /** Applies the only linear of a hook point, like {@link #project(HookPoint, NDArray, String...)}. */
    NDArray projectOne(HookPoint hookPoint, NDArray input, String path) {
        return project(hookPoint, input, path).get(0);
    }

    /** Attends with the block's formats, see {@link Operators#attention}. */
    NDArray attention(NDArray query, Cached key, Cached value, AttentionShape shape) {
        return operators.attention(query, key, value, shape, constants, block.attention());
    }
}
