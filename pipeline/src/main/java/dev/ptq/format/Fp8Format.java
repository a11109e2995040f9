package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * FP8 with float32 scales: {@code value = scale · element}, elements half to even and clamped to the largest. Values that
 * share a scale with a NaN or an infinity become NaN.
 *
 * @param element {@link SmallFloat#E4M3} or {@link SmallFloat#E5M2}
 * @param granularity which values share a scale
 * @param blockSize rows and columns that do, for {@link Granularity#BLOCK}, {@code -1} for the whole dimension; empty
 *     otherwise
 * @param rule the arithmetic of scales
 */
public record Fp8Format(SmallFloat element, Granularity granularity, List<Integer> blockSize, Rule rule)
        implements OneScaleFormat {
    /** The values that share a scale. */
    public enum Granularity {
        /** A whole matrix; every matrix of a batch has its own scale. */
        TENSOR,
        /** One output feature of a weight. */
        CHANNEL,
        /** One token of an activation. */
        TOKEN,
        /** A rectangle of neighbours. */
        BLOCK
    }

    /** The arithmetic of a toolkit, bit for bit. Below, {@code max} is the largest element. */
    public enum Rule {
        /**
         * compressed-tensors: {@code scale = amax / max}, a zero becomes 2^-23; values are divided by the scale. The
         * presets of llm-compressor use E4M3.
         */
        COMPRESSED_TENSORS,
        /** torchao: {@code scale = amax / max}; values are divided by the scale, so that zeros alone become NaN. */
        TORCHAO,
        /**
         * torchao's FP8 training in blocks: values are multiplied by {@code r = max / max(amax, 1e-12)}, and elements by
         * {@code 1 / r}. It stores r, from which both follow.
         */
        TORCHAO_BLOCKWISE
    }

    private static final int SCALE_BITS = 32;
    private static final float SCALE_OF_ZEROS = 0x1p-23f;
    private static final double LEAST_AMAX = 1e-12;

    public Fp8Format {
        blockSize = List.copyOf(blockSize);
        if (element.bits() != 8 || element.isTwosComplement()) {
            throw new IllegalArgumentException("not FP8: " + element);
        }
        if (blockSize.size() != (granularity == Granularity.BLOCK ? 2 : 0)) {
            throw new IllegalArgumentException("block size " + blockSize + " with granularity " + granularity);
        }
        if (rule == Rule.TORCHAO_BLOCKWISE && granularity != Granularity.BLOCK) {
            throw new IllegalArgumentException("the rule " + rule + " is for blocks, not for " + granularity);
        }
    }

    /** Makes a format whose values share a scale other than in blocks, by the rule of compressed-tensors. */
    public Fp8Format(SmallFloat element, Granularity granularity) {
        this(element, granularity, List.of(), Rule.COMPRESSED_TENSORS);
    }

    /** Returns the name in configs. */
    static String name(SmallFloat element) {
        return "fp8_" + element.label();
    }

    /** Reads the keys besides the name. */
    static Fp8Format read(ConfigTable table, Formats.Rules rules, SmallFloat element) {
        List<Granularity> valid = rules.granularities(Formats.isStatic(table, rules)).stream()
                .map(Fp8Format::ofInteger)
                .toList();
        Granularity granularity =
                table.read(FormatKeys.FP8_GRANULARITY, FormatKeys.FP8_GRANULARITIES.only(valid), valid.get(0));
        List<Integer> blockSize = List.of();
        if (granularity == Granularity.BLOCK) {
            List<Integer> preset = rules.hasChannels() ? List.of(128, 128) : List.of(1, 128);
            blockSize = table.read(FormatKeys.FP8_BLOCK_SIZE, preset);
            if (blockSize.size() != 2 || blockSize.stream().anyMatch(n -> n == 0 || n < -1)) {
                table.problem(
                        FormatKeys.FP8_BLOCK_SIZE,
                        "expected two numbers, each at least 1 or -1 for the whole dimension, got " + blockSize);
                blockSize = preset;
            }
        }
        Rule rule = table.read(FormatKeys.FP8_RULE);
        if (rule == Rule.TORCHAO_BLOCKWISE && granularity != Granularity.BLOCK) {
            table.problem(
                    FormatKeys.FP8_RULE,
                    "\"torchao_blockwise\" is for granularity = \"block\"; set that, or rule = \"torchao\"");
            rule = Rule.TORCHAO;
        }
        return new Fp8Format(element, granularity, blockSize, rule);
    }

    /** Returns the granularity that has the place of an integer format's. */
    private static Granularity ofInteger(IntegerFormat.Granularity granularity) {
        return switch (granularity) {
            case TENSOR -> Granularity.TENSOR;
            case CHANNEL -> Granularity.CHANNEL;
            case TOKEN -> Granularity.TOKEN;
            case GROUP -> Granularity.BLOCK;
        };
    }

    private SmallFloatKernel.Rounding rounding() {
        return SmallFloatKernel.Rounding.even(element, rule != Rule.TORCHAO_BLOCKWISE);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        List<Integer> size = switch (granularity) {
            case TENSOR -> List.of(-1, -1);
            case CHANNEL, TOKEN -> List.of(1, -1);
            case BLOCK -> blockSize;
        };
        return Blocks.over(shape.getShape(), operand.channelsAreColumns() ? List.of(size.get(1), size.get(0)) : size);
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        SmallFloatKernel.fit(values, blocks, rounding(), new Scales(this), new float[Math.toIntExact(blocks.count())]);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        float[] stored = new float[Math.toIntExact(blocks.count())];
        SmallFloatKernel.fit(values, blocks, rounding(), new Scales(this), stored);
        return encoding(blocks, stored);
    }

    @Override
    public Encoding within(Blocks blocks, List<Bounds> ranges) {
        float[] stored = new float[ranges.size()];
        Scales scales = new Scales(this);
        for (int block = 0; block < stored.length; block++) {
            stored[block] =
                    scales.stored(Float.floatToRawIntBits(ranges.get(block).largestMagnitude()));
        }
        return encoding(blocks, stored);
    }

    @Override
    public Encoding read(Blocks blocks, Parts parts) throws IOException {
        ByteBuffer bytes = parts.require(SmallFloatEncoding.SCALE, StoredType.F32, blocks.strips(), blocks.across());
        float[] stored = new float[Math.toIntExact(blocks.count())];
        bytes.asFloatBuffer().get(stored);
        for (int i = 0; i < stored.length; i++) {
            if (stored[i] < 0) {
                throw parts.wrong(SmallFloatEncoding.SCALE, "no negative number", stored[i] + " at " + i);
            }
        }
        return encoding(blocks, stored);
    }

    private Encoding encoding(Blocks blocks, float[] stored) {
        RawTensor part = RawTensor.of(stored, blocks.strips(), blocks.across());
        return SmallFloatEncoding.of(rounding(), new Scales(this), blocks, stored, part);
    }

    /** The scale; with {@link Rule#TORCHAO_BLOCKWISE} its reciprocal. */
    private record Scales(Fp8Format format) implements Scaling {
        @Override
        public float stored(int maximumBits) {
            float amax = Float.intBitsToFloat(maximumBits);
            float scale = amax / format.element.largest();
            return switch (format.rule) {
                case COMPRESSED_TENSORS -> scale == 0 ? SCALE_OF_ZEROS : scale;
                case TORCHAO -> scale;
                case TORCHAO_BLOCKWISE -> (float) (1 / Math.max(amax, LEAST_AMAX) * format.element.largest());
            };
        }

        @Override
        public float scale(float stored) {
            return format.rule == Rule.TORCHAO_BLOCKWISE ? 1 / stored : stored;
        }

        @Override
        public float factor(float stored) {
            return stored;
        }
    }

    @Override
    public Optional<String> settingForOneRange() {
        return granularity == Granularity.TENSOR || granularity == Granularity.CHANNEL
                ? Optional.empty()
                : Optional.of(IntegerFormat.Granularity.OF_KNOWN_RANGES);
    }

    @Override
    public boolean isSymmetric() {
        return true;
    }

    @Override
    public boolean hasRangePerFeature() {
        return granularity == Granularity.CHANNEL;
    }

    @Override
    public Optional<String> settingForRows() {
        boolean apart = granularity == Granularity.BLOCK ? blockSize.get(0) == 1 : granularity != Granularity.TENSOR;
        return apart
                ? Optional.empty()
                : Optional.of("granularity = \"token\", or \"block\" with a block_size of one row");
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, name(element));
        table.put("granularity", Formats.label(granularity));
        if (granularity == Granularity.BLOCK) {
            table.put("block_size", blockSize);
        }
        table.put("rule", Formats.label(rule));
        return table;
    }

    @Override
    public int bits() {
        return element.bits();
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) element.bits() * shape.size()
                + (double) SCALE_BITS * blocks(shape, operand).count();
    }
}
