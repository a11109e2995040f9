package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.tensor.Torch;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Affine integers with one scale and zero point that were found beforehand. Values beyond the range become its ends; an
 * infinite one becomes NaN, so that it is noticed.
 *
 * @param integers what the range becomes; of a whole tensor, from the least to the largest value
 * @param bounds the range; absent until it is taken from statistics, and nothing can be rounded so long
 */
public record StaticIntegerFormat(IntegerFormat integers, Optional<Bounds> bounds) implements NumberFormat {
    /** The least and the largest value there were. */
    public record Bounds(float low, float high) {
        public Bounds {
            if (!(low <= high && Float.isFinite(low) && Float.isFinite(high))) {
                throw new IllegalArgumentException("no such range: from " + low + " to " + high);
            }
        }
    }

    public StaticIntegerFormat {
        if (integers.granularity() != Granularity.TENSOR || integers.range() != Range.MINMAX) {
            throw new IllegalArgumentException("a range that is found beforehand is that of a tensor");
        }
    }

    /** The same integers with this range. */
    public StaticIntegerFormat withBounds(float low, float high) {
        return new StaticIntegerFormat(integers, Optional.of(new Bounds(low, high)));
    }

    @Override
    public NumberFormat dynamic() {
        return integers;
    }

    private Bounds range() {
        return bounds.orElseThrow(() -> new IllegalStateException("the range was not taken from statistics"));
    }

    private float below() {
        return integers.includeZero() ? Math.max(0, -range().low()) : -range().low();
    }

    private float scale() {
        float above = integers.includeZero() ? Math.max(0, range().high()) : range().high();
        return integers.step(above, below());
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = Blocks.over(shape.getShape(), List.of(1, -1), false);
        float scale = scale();
        float zeroPoint = integers.zeroPoint(below(), scale);
        float lowest = integers.lowestCode();
        float highest = integers.highestCode();
        blocks.rewrite(values, () -> (tile, at, rows) -> {
            for (int i = at; i < at + rows * blocks.columns(); i++) {
                float code = (float) Math.rint(tile[i] / scale) + zeroPoint;
                // unless the value is not finite
                float zero = tile[i] * 0;
                tile[i] = (Math.min(Math.max(code, lowest), highest) - zeroPoint) * scale + zero;
            }
        });
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return integers.storageBits(new Shape(1, shape.size()), operand);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Here the derivative of clamped values is zero.
     */
    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        NDManager manager = values.getManager();
        float step = scale();
        try (NDManager scratch = manager.newSubManager()) {
            NDArray scale = scratch.full(new Shape(), step, DataType.FLOAT32);
            NDArray zeroPoint = scratch.full(new Shape(), integers.zeroPoint(below(), step), DataType.FLOAT32);
            return Torch.integersByDivisor(values, scale, scale, zeroPoint, integers.codes(scratch));
        }
    }
}
