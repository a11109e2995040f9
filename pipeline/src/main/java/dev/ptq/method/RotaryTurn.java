package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;

/**
 * All transforms between rotary queries and keys that commute with every rotation: a turn and a factor per channel pair
 * and key head. A key's pair is multiplied by {@code [[a, -b], [b, a]]}, a query's by the same over {@code a² + b²}.
 */
final class RotaryTurn implements EquivalentTransform {
    private final SmoothingMapping mapping;
    private final HeadLayout heads;
    private final float floor;
    private final Parameter along;
    private final Parameter across;

    /**
     * Starts at the identity.
     *
     * @param manager that owns the parameters, {@code [kvHeads, pairs]}
     * @param floor lower bound of {@code a} in training
     */
    RotaryTurn(NDManager manager, SmoothingMapping mapping, HeadLayout heads, double floor, double rate) {
        this.mapping = mapping;
        this.heads = heads;
        this.floor = (float) floor;
        Shape shape = new Shape(heads.kvHeads(), heads.pairs());
        along = new Parameter(mapping.label() + ".along", manager.ones(shape), rate);
        across = new Parameter(mapping.label() + ".across", manager.zeros(shape), rate);
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(along, across);
    }

    @Override
    public void project() {
        FloatBuffer values = NativeFloats.writableWindow(along.tensor());
        for (int i = 0; i < values.capacity(); i++) {
            values.put(i, Math.max(values.get(i), floor));
        }
    }

    @Override
    public void apply(Map<String, NDArray> tensors) {
        NDArray a = along.tensor();
        NDArray b = across.tensor();
        NDArray square = a.mul(a).add(b.mul(b));
        turn(tensors, mapping.smoothLayer(), a, b, 1);
        mapping.balanceLayers().forEach(query -> turn(tensors, query, a.div(square), b.div(square), heads.group()));
    }

    private void turn(Map<String, NDArray> tensors, String linear, NDArray a, NDArray b, int group) {
        for (String part : List.of(".weight", ".bias")) {
            tensors.computeIfPresent(linear + part, (name, rows) -> turned(rows, a, b, group));
        }
    }

    private NDArray turned(NDArray rows, NDArray a, NDArray b, int group) {
        int pairs = heads.pairs();
        long all = rows.getShape().get(0);
        int[] order = order((int) all);
        NDArray sorted = Torch.embedding(
                        rows.reshape(all, -1), NativeFloats.indices(rows.getManager(), order, order.length))
                .reshape(heads.kvHeads(), group, heads.headDim(), -1);
        NDArray first = sorted.get(new NDIndex(":, :, :{}", pairs));
        NDArray second = sorted.get(new NDIndex(":, :, {}:{}", pairs, 2 * pairs));
        NDArray along = a.reshape(heads.kvHeads(), 1, pairs, 1);
        NDArray across = b.reshape(heads.kvHeads(), 1, pairs, 1);
        NDArray one = first.mul(along).sub(second.mul(across));
        NDArray two = first.mul(across).add(second.mul(along));
        NDList parts = new NDList(one, two);
        if (2 * pairs < heads.headDim()) {
            parts.add(sorted.get(new NDIndex(":, :, {}:", 2 * pairs)));
        }
        int[] back = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            back[order[i]] = i;
        }
        NDArray turned = NDArrays.concat(parts, 2).reshape(all, -1);
        return Torch.embedding(turned, NativeFloats.indices(rows.getManager(), back, back.length))
                .reshape(rows.getShape());
    }

    /** Rows of heads, in each the first channels of pairs before the second ones. */
    private int[] order(int rows) {
        int[] channels = heads.channelsByPair();
        int[] order = new int[rows];
        for (int row = 0; row < rows; row++) {
            order[row] = row / channels.length * channels.length + channels[row % channels.length];
        }
        return order;
    }
}
