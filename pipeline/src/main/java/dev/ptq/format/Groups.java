package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Torch;

/** Lays out a tensor so that its last axis holds the values that share a scale, and back; differentiable. */
final class Groups {
    private final Shape shape;
    private final Shape matrices;
    private final boolean transposed;
    private final boolean whole;
    private final long columns;
    private final long size;
    private final long across;

    Groups(IntegerFormat.Granularity granularity, int groupSize, Shape shape, Operand operand) {
        this.shape = shape;
        int dimensions = shape.dimension();
        matrices = dimensions < 2 ? new Shape(1, shape.size()) : shape;
        whole = granularity == IntegerFormat.Granularity.TENSOR;
        transposed = operand.channelsAreColumns() && !whole;
        columns = matrices.get(matrices.dimension() - (transposed ? 2 : 1));
        size = granularity == IntegerFormat.Granularity.GROUP ? Math.max(1, Math.min(groupSize, columns)) : columns;
        across = (columns + size - 1) / size;
    }

    /** Returns the shape in which values of shape {@code groups}, one per group, match {@link #of}. */
    Shape shared(Shape groups) {
        return whole || across == 1 ? groups : groups.add(1);
    }

    /** Lays out a tensor of the given shape. */
    NDArray of(NDArray values) {
        int last = matrices.dimension() - 1;
        if (whole) {
            long matrix = matrices.get(last) * matrices.get(last - 1);
            return values.reshape(shape.size() / matrix, matrix);
        }
        NDArray rows = values.reshape(matrices);
        return inGroups(transposed ? swapped(rows) : rows);
    }

    /** Lays out a matrix that is broadcast to a weight of the shape. */
    NDArray ofBroadcast(NDArray values) {
        Shape own = values.getShape();
        if (own.dimension() == 0 || own.get(own.dimension() - 1) == columns) {
            return own.dimension() == 0 ? values : inGroups(values);
        }
        return values.reshape(own.add(1));
    }

    private NDArray inGroups(NDArray rows) {
        if (across == 1) {
            return rows;
        }
        Shape own = rows.getShape();
        int last = own.dimension() - 1;
        long missing = across * size - columns;
        NDArray full = rows;
        if (missing > 0) {
            // repeats the last value, which leaves the range of its group as it is
            NDArray end = rows.get(new NDIndex("..., {}:", columns - 1));
            full = rows.concat(end.broadcast(own.slice(0, last).add(missing)), last);
        }
        return full.reshape(own.slice(0, last).add(across).add(size));
    }

    /** Brings a result computed from {@link #of} back to the shape, contiguous. */
    NDArray restored(NDArray grouped) {
        if (whole) {
            return grouped.reshape(shape);
        }
        NDArray rows = grouped;
        if (across > 1) {
            Shape padded = transposed ? swapped(matrices) : matrices;
            int last = padded.dimension() - 1;
            NDArray full = grouped.reshape(padded.slice(0, last).add(across * size));
            rows = across * size == columns ? full : Torch.contiguous(full.get(new NDIndex("..., :{}", columns)));
        }
        return (transposed ? Torch.contiguous(swapped(rows)) : rows).reshape(shape);
    }

    private static NDArray swapped(NDArray values) {
        return values.swapAxes(
                values.getShape().dimension() - 2, values.getShape().dimension() - 1);
    }

    private static Shape swapped(Shape shape) {
        int dimensions = shape.dimension();
        return shape.slice(0, dimensions - 2).add(shape.get(dimensions - 1)).add(shape.get(dimensions - 2));
    }
}
