package dev.ptq.format;

import dev.ptq.format.SmallFloat.Ties;
import dev.ptq.weights.RawTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** Small floats: a scale for each block. */
final class SmallFloatEncoding implements Encoding {
    /** The name of the scales among the parts. */
    static final String SCALE = "scale";

    private final SmallFloatKernel.Rounding rounding;
    private final Blocks blocks;
    private final float[] scales;
    private final float[] factors;
    private final Map<String, RawTensor> parts;
    /** The scales in their stored form. */
    private final byte[] stored;

    /**
     * Makes an encoding.
     *
     * @param scales of blocks, by which elements are multiplied; not a number if the values are none
     * @param factors of blocks, by which values are multiplied before rounding; without meaning if they are divided
     * @param parts the scales in their stored form
     */
    SmallFloatEncoding(
            SmallFloatKernel.Rounding rounding,
            Blocks blocks,
            float[] scales,
            float[] factors,
            Map<String, RawTensor> parts) {
        this.rounding = rounding;
        this.blocks = blocks;
        this.scales = scales;
        this.factors = factors;
        this.parts = new LinkedHashMap<>(parts);
        ByteBuffer bytes = Objects.requireNonNull(parts.get(SCALE)).bytes();
        stored = new byte[bytes.remaining()];
        bytes.get(0, stored);
    }

    /**
     * Makes an encoding.
     *
     * @param stored scale of each block
     * @param part the same, to be stored
     */
    static SmallFloatEncoding of(
            SmallFloatKernel.Rounding rounding, Scaling scaling, Blocks blocks, float[] stored, RawTensor part) {
        float[] scales = new float[stored.length];
        float[] factors = new float[stored.length];
        for (int i = 0; i < stored.length; i++) {
            scales[i] = scaling.scale(stored[i]);
            factors[i] = scaling.factor(stored[i]);
        }
        return new SmallFloatEncoding(rounding, blocks, scales, factors, Map.of(SCALE, part));
    }

    @Override
    public int bits() {
        return rounding.element().bits();
    }

    @Override
    public boolean signed() {
        return rounding.element().isTwosComplement();
    }

    @Override
    public float[] scales() {
        return scales.clone();
    }

    @Override
    public void round(FloatBuffer values) {
        roundWith(values, true);
    }

    /** Rounds the tensor whose blocks the scales are from. */
    void roundOwn(FloatBuffer values) {
        roundWith(values, false);
    }

    private void roundWith(FloatBuffer values, boolean spoils) {
        boolean isOne = scales.length == 1;
        (rounding.flush() ? blocks : blocks.asRowsIfOne()).rewrite(values, layout -> {
            SmallFloatKernel kernel = new SmallFloatKernel(rounding, layout);
            return (strip, tile, at, rows) -> {
                if (spoils) {
                    RowKernels.spoil(tile, at, rows * layout.columns());
                }
                if (isOne) {
                    kernel.setAll(scales[0], factors[0]);
                } else {
                    for (int block = 0, from = strip * layout.across(); block < layout.across(); block++) {
                        kernel.set(block, scales[from + block], factors[from + block]);
                    }
                }
                if (rounding.flush()) {
                    kernel.measure(tile, at, rows);
                    for (int block = 0; block < layout.across(); block++) {
                        kernel.flush(block);
                    }
                }
                kernel.round(tile, at, rows);
            };
        });
    }

    @Override
    public float rounded(float value, int index) {
        int block = blocks.blockOf(index);
        float scaled = rounding.divides() ? value / scales[block] : value * factors[block];
        return Float.isNaN(scaled) ? Float.NaN : rounding.element().round(scaled, rounding.ties()) * scales[block];
    }

    @Override
    public void take(Encoding other, int from, int to) {
        SmallFloatEncoding same = (SmallFloatEncoding) other;
        scales[to] = same.scales[from];
        factors[to] = same.factors[from];
        int size = stored.length / scales.length;
        System.arraycopy(same.stored, from * size, stored, to * size, size);
    }

    @Override
    public int code(float rounded, int index) {
        SmallFloat element = rounding.element();
        return element.code(element.round(rounded / scales[blocks.blockOf(index)], Ties.EVEN));
    }

    @Override
    public float value(int code, int index) {
        return rounding.element().value(code) * scales[blocks.blockOf(index)];
    }

    @Override
    public Map<String, RawTensor> parts() {
        RawTensor scale = Objects.requireNonNull(parts.get(SCALE));
        ByteBuffer bytes = ByteBuffer.wrap(stored.clone()).order(ByteOrder.LITTLE_ENDIAN);
        Map<String, RawTensor> all = new LinkedHashMap<>(parts);
        all.put(SCALE, new RawTensor(scale.type(), scale.shape(), bytes));
        return all;
    }
}
