package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.HalfFloats;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * Integers whose scales are numbers of float16, as checkpoints of most programs hold them: the scale that the format
 * finds is rounded, and values are rounded with it. Zero points stay those of the scale before. A scale beyond the
 * largest or below the smallest number of float16 becomes that number.
 *
 * @param format of weights: {@link IntegerFormat}, {@link IntegerGridFormat}, or one that knows the input of a linear
 */
public record HalfScaleFormat(NumberFormat format) implements GridFormat {
    /** The type of scales in configs. */
    enum ScaleType {
        FLOAT32,
        FLOAT16
    }

    private static final float LARGEST = 65504;
    private static final float SMALLEST = 0x1p-24f;

    public HalfScaleFormat {
        if (!(format instanceof IntegerFormat
                || format instanceof IntegerGridFormat
                || format instanceof WeightedFormat)) {
            throw new IllegalArgumentException("expected integers, got " + format);
        }
    }

    private GridFormat coded() {
        return (GridFormat) format;
    }

    /** Replaces scales by numbers of float16; 0, NaN and infinity stay what they are. */
    static void store(float[] scales) {
        for (int i = 0; i < scales.length; i++) {
            scales[i] = stored(scales[i]);
        }
    }

    private static float stored(float scale) {
        if (scale == 0 || !Float.isFinite(scale)) {
            return scale;
        }
        float magnitude = Math.min(Math.max(HalfFloats.round(Math.abs(scale)), SMALLEST), LARGEST);
        return Math.copySign(magnitude, scale);
    }

    @Override
    public Set<InputFact> needs() {
        return format.needs();
    }

    @Override
    public NumberFormat knowing(LinearFacts facts) throws IOException {
        return new HalfScaleFormat(format.knowing(facts));
    }

    @Override
    public NumberFormat dynamic() {
        return new HalfScaleFormat(format.dynamic());
    }

    @Override
    public NumberFormat unsearched() {
        return new HalfScaleFormat(format.unsearched());
    }

    @Override
    public GridFormat ofColumns(int... columns) {
        return new HalfScaleFormat(coded().ofColumns(columns));
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        fit(values, shape, operand);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        FloatBuffer copy = FloatBuffer.allocate(values.capacity());
        copy.put(0, values, 0, values.capacity());
        Encoding encoding = coded().fit(copy, shape, operand);
        encoding.storeScales();
        encoding.round(values);
        return encoding;
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return coded().blocks(shape, operand);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return coded().read(shape, operand, parts);
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return format.storageBits(shape, operand);
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>(format.table());
        table.put(FormatKeys.SCALE_DTYPE.name(), Formats.label(ScaleType.FLOAT16));
        return table;
    }
}
