package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * NF4, NF3 and NF2: the nearest entry of a table of normal quantiles, times the largest magnitude of a block of
 * neighbouring values. Source: QLoRA (NeurIPS 2023), NF3 and NF2 LoftQ (ICLR 2024), with the arithmetic of the released
 * code: see {@link Rule}.
 *
 * <p>Blocks are those of the flattened tensor and may reach over the end of a row; in activations they lie within a
 * token, see {@link LineBlocks}. A block with a value that is not finite becomes NaN; with double quantization all
 * values do.
 *
 * @param bits 4, 3 or 2
 * @param blockSize values that share a largest magnitude
 * @param doubleBlockSize largest magnitudes that are quantized together, to 8 bits; 0 leaves them in float32
 * @param rule whose table and arithmetic
 */
public record NormalFloatFormat(int bits, int blockSize, int doubleBlockSize, Rule rule) implements GridFormat {
    /** The names in configs, by bits. */
    static final List<String> NAMES = List.of("nf4", "nf3", "nf2");

    /** The size of a block in the released codes. */
    static final int BLOCK_SIZE = 64;
    /** The number of blocks that share a scale of their largest magnitudes, in the released codes. */
    static final int DOUBLE_BLOCK_SIZE = 256;

    /** The tool whose table, order of rounding and double quantization are used. */
    public enum Rule {
        /**
         * Of four bits: values times the reciprocal of the largest magnitude, between two entries the lower. A last
         * block that is shorter divides instead.
         */
        BITSANDBYTES,
        /** Of four bits: a table of four decimals, values divided, ties to the lower entry; always doubly quantized. */
        TORCHAO,
        /**
         * Of three and two bits: values divided, ties to the lower entry. The largest magnitudes are doubly quantized
         * as in {@link #BITSANDBYTES}, if at all.
         */
        PEFT
    }

    public NormalFloatFormat {
        boolean isFour = bits == 4;
        if (bits < 2 || bits > 4 || isFour == (rule == Rule.PEFT)) {
            throw new IllegalArgumentException("no such format: " + bits + " bits by the rule of " + rule);
        }
        if (blockSize < 1 || doubleBlockSize < 0 || (rule == Rule.TORCHAO && doubleBlockSize == 0)) {
            throw new IllegalArgumentException(
                    "block size " + blockSize + ", double block size " + doubleBlockSize + ", rule " + rule);
        }
    }

    /** Makes a format without double quantization: of four bits by the rule of bitsandbytes, otherwise of PEFT. */
    public NormalFloatFormat(int bits, int blockSize) {
        this(bits, blockSize, 0, bits == 4 ? Rule.BITSANDBYTES : Rule.PEFT);
    }

    /** Returns the entries of NF4 in bitsandbytes, rising. */
    public static float[] nf4() {
        return NormalFloatTable.nf4();
    }

    private String name() {
        return NAMES.get(4 - bits);
    }

    boolean isDouble() {
        return doubleBlockSize > 0;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        fit(values, shape, operand);
    }

    @Override
    public NormalFloatEncoding fit(FloatBuffer values, Shape shape, Operand operand) {
        LineBlocks blocks = LineBlocks.of(shape, operand, blockSize);
        if (!isDouble()) {
            return NormalFloatEncoding.rounding(this, blocks, values);
        }
        float[] absMax = blocks.absMax(values);
        NormalFloatEncoding encoding =
                new NormalFloatEncoding(this, blocks, absMaxima(absMax, AbsMaxima.mean(absMax)), absMax);
        encoding.round(values);
        return encoding;
    }

    /**
     * Returns the largest magnitudes as this format stores them.
     *
     * @param mean of these; not used without double quantization
     */
    AbsMaxima absMaxima(float[] absMax, float mean) {
        if (!isDouble()) {
            return new AbsMaxima.Plain(absMax);
        }
        return rule == Rule.TORCHAO
                ? AbsMaxima.Stepped.of(absMax, doubleBlockSize, mean)
                : AbsMaxima.Dynamic.of(absMax, doubleBlockSize, mean);
    }

    /** {@inheritDoc} Where blocks reach over rows, or their largest magnitudes depend on each other, there is one. */
    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        boolean isInRows = !isDouble() && shape.dimension() > 0 && shape.get(shape.dimension() - 1) % blockSize == 0;
        return isInRows ? Blocks.over(shape.getShape(), List.of(1, blockSize)) : Blocks.one(shape);
    }

    @Override
    public NormalFloatEncoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        LineBlocks blocks = LineBlocks.of(shape, operand, blockSize);
        return new NormalFloatEncoding(this, blocks, AbsMaxima.read(this, blocks, parts));
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, name());
        table.put("block_size", blockSize);
        if (rule != Rule.TORCHAO) {
            table.put("double_quantization", isDouble());
        }
        if (isDouble()) {
            table.put("double_block_size", doubleBlockSize);
        }
        if (rule != Rule.PEFT) {
            table.put("rule", Formats.label(rule));
        }
        return table;
    }

    /** {@inheritDoc} A largest magnitude takes 32 bits, a doubly quantized one 8, and the scale and mean of these 32. */
    @Override
    public double storageBits(Shape shape, Operand operand) {
        double blocks = LineBlocks.of(shape, operand, blockSize).count();
        double shared = isDouble() ? 8 * blocks + 32 * (Math.ceil(blocks / doubleBlockSize) + 1) : 32 * blocks;
        return (double) bits * shape.size() + shared;
    }
}
