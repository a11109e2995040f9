package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * An invertible matrix on a mapping, one per head in attention, and optionally a shift: an activation row becomes
 * {@code (x - shift) M⁻¹}, and a balance layer's weight {@code W Mᵀ}. {@code M} is the learned matrix times a mask that
 * opens one more diagonal on both sides as epochs pass and scales the values off the main diagonal by a stability
 * factor. Rows stay strictly diagonally dominant, so {@code M} is invertible. Source: AffineQuant (ICLR 2024).
 */
final class AffineMap implements EquivalentTransform {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";
    /** Where a row's other values grow too large, their sum is shrunk to this share of the diagonal. */
    private static final float DOMINATED = 0.99f;

    private final SmoothingMapping mapping;
    private final HeadLayout heads;
    private final float stability;
    private final float floor;
    private final Parameter matrix;
    private final @Nullable Parameter shift;
    private final NDArray mask;
    private final int size;

    /**
     * Starts from a diagonal.
     *
     * @param manager that owns parameters and mask
     * @param diagonal {@code [matrices, size]}, or {@code [size]} behind a norm
     * @param shift {@code [channels]}
     * @param stability factor of the values off the diagonal
     * @param floor lower bound of the diagonal in training
     */
    AffineMap(
            NDManager manager,
            SmoothingMapping mapping,
            HeadLayout heads,
            NDArray diagonal,
            @Nullable NDArray shift,
            double stability,
            double floor,
            double rate) {
        this.mapping = mapping;
        this.heads = heads;
        this.stability = (float) stability;
        this.floor = (float) floor;
        size = (int) diagonal.getShape().get(diagonal.getShape().dimension() - 1);
        int matrices = (int) (diagonal.size() / size);
        float[] start = new float[matrices * size * size];
        float[] values = diagonal.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            start[i * size + i % size] = values[i];
        }
        String label = mapping.label();
        matrix = new Parameter(label + ".matrix", NativeFloats.of(manager, start, matrices, size, size), rate);
        this.shift = shift == null ? null : new Parameter(label + ".shift", shift, rate);
        mask = NativeFloats.create(manager, matrix.tensor().getShape());
        open(size);
    }

    @Override
    public List<Parameter> parameters() {
        return Stream.of(matrix, shift).filter(Objects::nonNull).toList();
    }

    /** Masked values have no gradient and stay zero, so a fully open mask gives the same matrix. */
    @Override
    public void startEpoch(int epoch, int epochs) {
        open(epochs < 2 ? 1 : (size - 1) * epoch / (epochs - 1) + 1);
    }

    private void open(int diagonals) {
        FloatBuffer window = NativeFloats.writableWindow(mask);
        for (int i = 0; i < window.capacity(); i++) {
            int distance = Math.abs(i / size % size - i % size);
            window.put(i, distance == 0 ? 1 : distance < diagonals ? stability : 0);
        }
    }

    @Override
    public void project() {
        FloatBuffer window = NativeFloats.writableWindow(matrix.tensor());
        float[] row = new float[size];
        for (int at = 0; at < window.capacity(); at += size) {
            window.get(at, row);
            if (dominate(row, at / size % size)) {
                window.put(at, row);
            }
        }
    }

    /** Makes the diagonal value dominate its row; returns whether the row was changed. */
    private boolean dominate(float[] row, int diagonal) {
        float before = row[diagonal];
        row[diagonal] = Math.max(before, floor);
        double others = 0;
        for (int i = 0; i < size; i++) {
            others += i == diagonal ? 0 : Math.abs(row[i]) * stability;
        }
        if (others < row[diagonal]) {
            return row[diagonal] != before;
        }
        float shrink = (float) (DOMINATED * row[diagonal] / others);
        for (int i = 0; i < size; i++) {
            row[i] = i == diagonal ? row[i] : row[i] * shrink;
        }
        return true;
    }

    @Override
    public void apply(Map<String, NDArray> tensors) {
        NDArray m = matrix.tensor().mul(mask);
        NDArray inverse = Torch.inverse(m);
        NDArray offset = shift == null ? null : shift.tensor();
        switch (mapping.kind()) {
            case ATTENTION_IN, MLP_IN -> behindNorm(tensors, m, inverse, offset);
            case VALUE_OUT -> {
                String smoothLayer = mapping.smoothLayer();
                NDArray bias = tensors.get(smoothLayer + BIAS);
                NDArray shifted =
                        bias == null ? offset == null ? null : offset.neg() : offset == null ? bias : bias.sub(offset);
                if (shifted != null) {
                    NDArray rows = shifted.reshape(heads.kvHeads(), 1, size);
                    tensors.put(smoothLayer + BIAS, rows.matMul(inverse).reshape(-1));
                }
                turnRows(tensors, smoothLayer + WEIGHT, inverse.transpose(0, 2, 1), 1);
                mapping.balanceLayers().forEach(balanceLayer -> {
                    NDArray weight = Objects.requireNonNull(tensors.get(balanceLayer + WEIGHT), balanceLayer);
                    if (offset != null) {
                        ChannelScaling.addToBias(tensors, balanceLayer, weight, heads.perQueryChannel(offset));
                    }
                    tensors.put(balanceLayer + WEIGHT, turnedColumns(weight, m));
                });
            }
            case QUERY_KEY -> {
                turnRows(tensors, mapping.smoothLayer() + WEIGHT, m, 1);
                turnRows(tensors, mapping.smoothLayer() + BIAS, m, 1);
                mapping.balanceLayers().forEach(query -> {
                    turnRows(tensors, query + WEIGHT, inverse.transpose(0, 2, 1), heads.group());
                    turnRows(tensors, query + BIAS, inverse.transpose(0, 2, 1), heads.group());
                });
            }
            case MLP_MID -> throw new IllegalStateException("no matrix commutes with what lies on " + mapping);
        }
    }

    private void behindNorm(Map<String, NDArray> tensors, NDArray m, NDArray inverse, @Nullable NDArray offset) {
        NDArray back = m.reshape(size, size).transpose(1, 0);
        String norm = mapping.smoothLayer();
        if (offset != null) {
            NDArray bias = tensors.get(norm + BIAS);
            tensors.put(norm + BIAS, bias == null ? offset.neg() : bias.sub(offset));
        }
        tensors.put(norm + ".matrix", inverse.reshape(size, size));
        mapping.balanceLayers().forEach(balanceLayer -> {
            NDArray weight = Objects.requireNonNull(tensors.get(balanceLayer + WEIGHT), balanceLayer);
            if (offset != null) {
                ChannelScaling.addToBias(tensors, balanceLayer, weight, offset);
            }
            tensors.put(balanceLayer + WEIGHT, weight.matMul(back));
        });
    }

    /** Multiplies each head's rows of a weight or bias, if present, by its key head's matrix from the left. */
    private void turnRows(Map<String, NDArray> tensors, String name, NDArray matrices, int group) {
        tensors.computeIfPresent(name, (key, weight) -> {
            NDArray perHead = weight.reshape(heads.kvHeads(), group, size, -1);
            return matrices.reshape(heads.kvHeads(), 1, size, size)
                    .matMul(perHead)
                    .reshape(weight.getShape());
        });
    }

    /** {@code W Mᵀ}, with each query head's columns multiplied by its key head's matrix. */
    private NDArray turnedColumns(NDArray weight, NDArray matrices) {
        long out = weight.getShape().get(0);
        return weight.reshape(out, heads.kvHeads(), heads.group(), size)
                .transpose(1, 0, 2, 3)
                .reshape(heads.kvHeads(), out * heads.group(), size)
                .matMul(matrices.transpose(0, 2, 1))
                .reshape(heads.kvHeads(), out, heads.group(), size)
                .transpose(1, 0, 2, 3)
                .reshape(weight.getShape());
    }
}
