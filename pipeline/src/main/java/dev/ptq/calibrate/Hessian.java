package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import dev.ptq.model.HookInput;
import dev.ptq.tensor.TensorEngine;
import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * The Hessian (input second moment): the mean product of two features, {@code mean over tokens of xᵀ x}, a symmetric
 * matrix. Products within a sequence are float32, sums over sequences float64, so batches may be cut anywhere between
 * sequences. Only the upper triangle is kept, in panels of rows: {@code 4 features²} bytes of native memory. Source:
 * QERA (ICLR 2025).
 */
final class Hessian implements Accumulator {
    /** Rows of a panel. */
    private static final int PANEL = 512;

    private final int features;
    private final NDManager manager = TensorEngine.newManager();
    /** Rows from {@code PANEL · index} on, each starting at that column, float64. */
    private final List<NDArray> panels = new ArrayList<>();

    private final List<DoubleBuffer> windows = new ArrayList<>();
    private long tokens;

    Hessian(int features) {
        this.features = features;
    }

    @Override
    public void add(HookInput input) {
        NDArray values = input.values();
        int from = 0;
        for (int length : input.lengths()) {
            if (length == 0) {
                continue;
            }
            try (NDManager scratch = values.getManager().newSubManager()) {
                NDArray rows = values.reshape(-1, features);
                rows.attach(scratch);
                NDArray sequence = rows.get(new NDIndex("{}:{}", from, from + length));
                sequence.attach(scratch);
                addSequence(sequence);
            }
            from += length;
        }
        tokens += from;
    }

    private void addSequence(NDArray sequence) {
        for (int from = 0; from < features; from += PANEL) {
            int to = Math.min(features, from + PANEL);
            NDArray rows = sequence.get(new NDIndex(":, {}:{}", from, to)).transpose();
            try (NDArray products = rows.matMul(sequence.get(new NDIndex(":, {}:", from)))) {
                NDArray wide = products.toType(DataType.FLOAT64, false);
                if (panels.size() * PANEL == from) {
                    wide.attach(manager);
                    panels.add(wide);
                    windows.add(wide.toByteBuffer(true).asDoubleBuffer());
                } else {
                    panels.get(from / PANEL).addi(wide);
                    wide.close();
                }
            }
        }
    }

    @Override
    public void row(int row, float[] target) {
        for (int column = 0; column < features && tokens > 0; column++) {
            int upper = Math.min(row, column);
            int from = upper / PANEL * PANEL;
            int at = (upper - from) * (features - from) + Math.max(row, column) - from;
            target[column] = (float) (windows.get(upper / PANEL).get(at) / tokens);
        }
    }

    @Override
    public void close() {
        windows.clear();
        manager.close();
    }
}
