package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.HookInput;
import dev.ptq.model.HookPoint;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The error of what a block's attention or MLP puts out, on the samples. Their outputs are computed once. */
final class BranchError implements OutputError {
    private final BlockPass pass;
    private final Block block;
    private final HookPoint entry;
    private final NDManager manager;
    /** What enters the branch, and what comes out of it, some sequences at a time. */
    private final List<NDArray> inputs = new ArrayList<>();

    private final NDArray[] outputs;

    /**
     * Runs the samples through the block as it is.
     *
     * @param block in full precision
     * @param entry where the branch begins, see {@link BlockPass#branch}
     * @param states before the block
     */
    BranchError(BlockPass pass, Block block, HookPoint entry, HiddenStates states) throws IOException {
        this.pass = pass;
        this.block = block;
        this.entry = entry;
        this.manager = block.manager().newSubManager();
        pass.observe(block, states, new ActivationObserver() {
            @Override
            public void observe(int index, HookPoint hookPoint, HookInput input) {
                if (hookPoint.equals(entry)) {
                    NDArray own = input.values().duplicate();
                    own.attach(manager);
                    inputs.add(own);
                }
            }

            @Override
            public boolean wants(int index, HookPoint hookPoint) {
                return hookPoint.equals(entry);
            }
        });
        outputs = new NDArray[inputs.size()];
        forEach(block, (scratch, i, output) -> {
            output.attach(manager);
            outputs[i] = output;
        });
    }

    /** What is done with the output of a piece. */
    private interface Target {
        void accept(NDManager scratch, int index, NDArray output);
    }

    private void forEach(Block running, Target target) throws IOException {
        int atOnce = inputs.isEmpty() ? 1 : BlockPass.atOnce(inputs.get(0).size());
        Parallel.forEachOfTensors(inputs.size(), atOnce, i -> {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray input = inputs.get(i);
                input.tempAttach(scratch);
                target.accept(scratch, i, pass.branch(running, entry, input));
            }
        });
    }

    @Override
    public double of(Map<String, NDArray> weights) throws IOException {
        Map<String, NDArray> tensors = new HashMap<>();
        weights.forEach((path, weight) -> tensors.put(path + ".weight", weight));
        double[] sums = new double[inputs.size()];
        try (Block other = block.with(tensors)) {
            forEach(
                    other,
                    (scratch, i, output) -> sums[i] =
                            (double) Torch.meanSquaredError(output, outputs[i]).getFloat() * output.size());
        }
        return Arrays.stream(sums).sum()
                / inputs.stream().mapToLong(NDArray::size).sum();
    }

    @Override
    public void close() {
        manager.close();
    }
}
