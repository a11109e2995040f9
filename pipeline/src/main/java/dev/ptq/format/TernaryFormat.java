package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Three values {@code -s}, 0, {@code s}: {@code s clamp(rint(w / s), -1, 1)}, half to even. A group with a value that is
 * not finite becomes NaN.
 *
 * @param granularity which values share {@code s}
 * @param groupSize how many do, for {@link Granularity#GROUP}; 0 otherwise
 * @param scale how {@code s} is found
 */
public record TernaryFormat(Granularity granularity, int groupSize, Scale scale) implements GridFormat {
    /** The name in configs. */
    static final String NAME = "ternary";

    /** Of a code: two, as codes are not packed across bytes. */
    private static final int BITS = 2;

    private static final int SCALE_BITS = 16;
    private static final float LEAST_MEAN = 1e-5f;

    /** The rule of the scale. */
    public enum Scale {
        /**
         * The mean magnitude, summed in double precision, and at least 1e-5. Source: The Era of 1-bit LLMs (BitNet
         * b1.58, 2024).
         */
        ABSMEAN,
        /** The largest magnitude. */
        ABSMAX
    }

    public TernaryFormat {
        granularity.require(groupSize);
    }

    @Override
    public boolean cutsOnPurpose() {
        return true;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        encoding(values, shape, operand).round(values);
    }

    @Override
    public StepEncoding fit(FloatBuffer values, Shape shape, Operand operand) {
        StepEncoding encoding = encoding(values, shape, operand);
        encoding.round(values);
        return encoding;
    }

    private StepEncoding encoding(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        double[] sums = new double[Math.toIntExact(blocks.count())];
        int[] counts = new int[sums.length];
        float[] largest = new float[sums.length];
        blocks.visit(
                values,
                layout -> (strip, tile, at, rows) -> layout.forEachRun(strip, at, rows, (block, from, to) -> {
                    for (int i = from; i < to; i++) {
                        sums[block] += Math.abs(tile[i]);
                        largest[block] = Math.max(largest[block], Math.abs(tile[i]));
                    }
                    counts[block] += to - from;
                }));
        float[] scales = new float[sums.length];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = Float.isFinite(largest[i]) ? scale(sums[i] / counts[i], largest[i]) : Float.NaN;
        }
        return encoding(blocks, scales);
    }

    private float scale(double mean, float largest) {
        if (scale == Scale.ABSMEAN) {
            return Math.max((float) mean, LEAST_MEAN);
        }
        return largest == 0 ? 1 : largest;
    }

    private static StepEncoding encoding(Blocks blocks, float[] scales) {
        return new StepEncoding(
                new IntegerCodes(BITS, -1, 1, IntegerCodes.Order.ROUND_THEN_SHIFT),
                blocks,
                StepEncoding.Zeros.NONE,
                false,
                scales,
                new float[scales.length]);
    }

    @Override
    public StepEncoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        Blocks blocks = blocks(shape, operand);
        return encoding(blocks, StepEncoding.readScales(blocks, parts, false));
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return granularity.blocks(shape, operand, groupSize);
    }

    @Override
    public Optional<String> settingForRows() {
        return granularity.settingForRows();
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        granularity.write(groupSize, table);
        table.put("scale", Formats.label(scale));
        return table;
    }

    @Override
    public int bits() {
        return BITS;
    }

    /** {@inheritDoc} A code takes two bits, although it holds log2(3). */
    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) BITS * shape.size()
                + (double) SCALE_BITS * blocks(shape, operand).count();
    }
}
