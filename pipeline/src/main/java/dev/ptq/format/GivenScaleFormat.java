package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A format with one scale for all values that is stored beside a model, as checkpoints with static activations have it. It
 * differs from {@link StaticFormat} in that no range need lead to just that scale in float32. Values beyond the codes become
 * the last ones; an infinite one becomes NaN.
 *
 * @param format used with the scale; of {@link Nvfp4Format} it is the tensor's, and blocks keep scales from their values
 * @param scale as the format stores it
 * @param zeroPoint a code; 0 where the format has none
 */
public record GivenScaleFormat(RangedFormat format, float scale, int zeroPoint) implements GridFormat {
    public GivenScaleFormat {
        boolean isKnown =
                format instanceof Fp8Format || format instanceof IntegerGridFormat || format instanceof Nvfp4Format;
        if (!isKnown || format.settingForOneRange().isPresent() || format.hasRangePerFeature()) {
            throw new IllegalArgumentException("a format that stores no scale for a whole tensor: " + format);
        }
        if (!(scale > 0 && scale < Float.POSITIVE_INFINITY) || (zeroPoint != 0 && format.isSymmetric())) {
            throw new IllegalArgumentException("scale " + scale + ", zero point " + zeroPoint + " of " + format);
        }
        // what is no code is noticed here, not in the middle of a run
        format.fitWithScale(scale, zeroPoint, FloatBuffer.allocate(1), new Shape(1, 1), Operand.ACTIVATION);
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public NumberFormat dynamic() {
        return format;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        fit(values, shape, operand);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        return format.fitWithScale(scale, zeroPoint, values, shape, operand);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return format instanceof Nvfp4Format blocks ? blocks.blocks(shape, operand) : Blocks.one(shape);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return format.readWithin(shape, operand, parts);
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return format.storageBitsWithin(shape, operand);
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>(format.table());
        table.put(StaticFormat.DYNAMIC, false);
        table.put("scale", scale);
        if (!format.isSymmetric()) {
            table.put("zero_point", zeroPoint);
        }
        return table;
    }
}
