package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A format with a static range for all values, and so with one scale; in {@code nvfp4} this is the tensor's, and blocks
 * keep scales from their values. Values beyond the range become its ends; an infinite one becomes NaN, so that it is
 * noticed.
 *
 * @param format used with the range; for a whole tensor, from the smallest to the largest value
 * @param bounds the range; absent until it is taken from statistics, and until then nothing can be rounded
 */
public record StaticFormat(RangedFormat format, Optional<Bounds> bounds) implements GridFormat {
    /** The keys of the range in a table outside configs. */
    static final String LOW = "low";

    static final String HIGH = "high";
    /** The config key that says whether the range is dynamic. */
    static final String DYNAMIC = "dynamic";

    public StaticFormat {
        Optional<String> setting = format.settingForOneRange();
        if (setting.isPresent()) {
            throw new IllegalArgumentException("a range that is found beforehand is that of a tensor: expected "
                    + setting.get() + ", got " + format);
        }
    }

    /** Returns the same format with this range. */
    public StaticFormat withBounds(float low, float high) {
        return new StaticFormat(format, Optional.of(new Bounds(low, high)));
    }

    @Override
    public NumberFormat dynamic() {
        return format;
    }

    private Bounds range() {
        return bounds.orElseThrow(() -> new IllegalStateException("the range was not taken from statistics"));
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        format.fitWithin(range(), values, shape, operand);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        return format.fitWithin(range(), values, shape, operand);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return Blocks.one(shape);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return format.readWithin(shape, operand, parts);
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return format.storageBitsWithin(shape, operand);
    }

    /**
     * {@inheritDoc}
     *
     * <p>For integers, the derivative of clamped values is zero here.
     */
    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        return format.differentiableWithin(range(), values, operand);
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>(format.table());
        table.put(DYNAMIC, false);
        bounds.ifPresent(range -> {
            table.put(LOW, range.low());
            table.put(HIGH, range.high());
        });
        return table;
    }
}
