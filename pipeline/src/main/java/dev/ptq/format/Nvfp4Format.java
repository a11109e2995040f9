package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;

/**
 * NVFP4: elements of type E2M1, a scale of type E4M3 for each 16 neighbours, and a float32 scale for the tensor. Elements
 * and block scales are rounded half to even. A block with a NaN or an infinity becomes NaN, and with it, where there is
 * a dynamic tensor scale, by the arithmetic of the rule other blocks.
 *
 * <p>Blocks lie along the features, as those of {@link MxFormat}. In a batch every matrix has its own tensor scale,
 * unless {@code amax} is given.
 *
 * <p>With {@code fourOverSix} (arXiv 2512.02010), a block is rounded twice, with {@code s6} for {@code amax_b / 6} and with
 * {@code s4} for {@code amax_b / 4}, and keeps the result with the smaller sum of squared errors, on equality that of
 * {@code s6}. The rule's 2688 = 6 · 448 becomes 1536 = 6 · 256 then, so that {@code s4} of the largest block is 384.
 *
 * @param rule the arithmetic of scales
 * @param tensorScale whether the tensor has a scale
 * @param fourOverSix whether a block's largest magnitude becomes 4 where that is better than 6
 * @param range how the largest magnitude of a block is chosen
 * @param isShared whether a weight has its tensor scale in common with those that have the same input and format: an
 *     inference engine makes them one tensor
 * @param amax the largest magnitude for the tensor scale, for example of several tensors that share it; if absent, that
 *     of the values. Blocks beyond it are clamped
 */
public record Nvfp4Format(
        Rule rule, boolean tensorScale, boolean fourOverSix, Range range, boolean isShared, Optional<Float> amax)
        implements RangedFormat {
    /** The arithmetic of a toolkit, bit for bit. Below, e4 rounds to E4M3 and fp4 to E2M1, clamped to the largest. */
    public enum Rule {
        /**
         * compressed-tensors: {@code g = 1 / max(amax, 2^-126) · 2688}, 1 if that is not finite; {@code s = e4(g (amax_b /
         * 6))}, a zero becomes 0.125; with {@code S = s / g} a value becomes {@code S fp4(x / S)}.
         */
        COMPRESSED_TENSORS,
        /**
         * torchao: {@code p = amax / 2688}, without a tensor scale 1; {@code s = e4(max(amax_b / 6 / p, 2^-6))}; a value
         * becomes {@code (p s) fp4(x ((1 / p) / s))}. With a tensor scale, zeros alone become NaN.
         */
        TORCHAO
    }

    /** The choice of a block's largest magnitude. The largest of these is the tensor's. */
    public enum Range {
        /** That of the values. */
        MINMAX,
        /** {@link Nvfp4Search#MSE}. */
        MSE,
        /** {@link Nvfp4Search#EXPANDED_MSE}. */
        EXPANDED_MSE,
        /** {@link IntegerFormat.Range#PERCENTILE}, for the tensor scale alone. */
        PERCENTILE,
        /** {@link IntegerFormat.Range#MOVING_AVERAGE}, for the tensor scale alone. */
        MOVING_AVERAGE;

        /** Returns the rule by which calibration finds the range of a tensor. */
        IntegerFormat.Range ofTensor() {
            return switch (this) {
                case MINMAX -> IntegerFormat.Range.MINMAX;
                case MSE, EXPANDED_MSE -> IntegerFormat.Range.MSE;
                case PERCENTILE -> IntegerFormat.Range.PERCENTILE;
                case MOVING_AVERAGE -> IntegerFormat.Range.MOVING_AVERAGE;
            };
        }
    }

    /** The name in configs. */
    static final String NAME = "nvfp4";
    /** The key of {@link #amax} in a table outside configs. */
    static final String AMAX = "amax";

    private static final String TENSOR_SCALE = "tensor_scale";
    private static final SmallFloat ELEMENT = SmallFloat.E2M1;
    private static final SmallFloat SCALE = SmallFloat.E4M3;
    private static final int BLOCK_SIZE = 16;
    private static final int TENSOR_SCALE_BITS = 32;
    private static final float LARGEST_WITH_FOUR = 256;
    /** Blocks whose scales a thread computes at a time. */
    private static final int BLOCKS_AT_ONCE = 1 << 12;

    public Nvfp4Format {
        boolean isTorchao = rule == Rule.TORCHAO;
        if (!tensorScale && (!isTorchao || isShared || amax.isPresent())) {
            throw new IllegalArgumentException("only torchao goes without a tensor scale, and then there is no amax");
        }
        if (range == Range.PERCENTILE || range == Range.MOVING_AVERAGE) {
            throw new IllegalArgumentException(range + " is a rule for calibration");
        }
        if (range != Range.MINMAX && (isTorchao || fourOverSix)) {
            throw new IllegalArgumentException(
                    "a range is searched for with the rule of compressed-tensors only, and" + " without four over six");
        }
        if (amax.isPresent() && !(amax.get() >= 0 && amax.get() < Float.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("expected a finite largest magnitude, got " + amax.get());
        }
    }

    /** Makes the format of compressed-tensors. */
    public Nvfp4Format() {
        this(Rule.COMPRESSED_TENSORS, true, false, Range.MINMAX, Optional.empty());
    }

    /** Makes a format whose tensor scale belongs to one tensor. */
    public Nvfp4Format(Rule rule, boolean tensorScale, boolean fourOverSix, Range range, Optional<Float> amax) {
        this(rule, tensorScale, fourOverSix, range, false, amax);
    }

    /** Reads the keys besides the name. */
    static Nvfp4Format read(ConfigTable table, Formats.Rules rules) {
        Rule rule = table.read(FormatKeys.NVFP4_RULE);
        boolean tensorScale = table.read(FormatKeys.TENSOR_SCALE);
        if (!tensorScale && rule != Rule.TORCHAO) {
            table.problem(FormatKeys.TENSOR_SCALE, "only rule = \"torchao\" goes without a tensor scale; set that");
            tensorScale = true;
        }
        boolean fourOverSix = table.read(FormatKeys.FOUR_OVER_SIX);
        Range range = Formats.isStatic(table, rules) ? Range.MINMAX : table.read(FormatKeys.NVFP4_RANGE);
        if (range == Range.PERCENTILE || range == Range.MOVING_AVERAGE) {
            table.problem(FormatKeys.NVFP4_RANGE, Formats.onlyStatic(range));
            range = Range.MINMAX;
        }
        if (range != Range.MINMAX && !rules.searched()) {
            table.problem(FormatKeys.NVFP4_RANGE, "a search is for weights: it takes many passes over the values");
            range = Range.MINMAX;
        }
        if (range != Range.MINMAX && rule == Rule.TORCHAO) {
            table.problem(
                    FormatKeys.NVFP4_RANGE,
                    "a range is searched for with rule = \"compressed_tensors\" only; set that");
            range = Range.MINMAX;
        }
        if (range != Range.MINMAX && fourOverSix) {
            table.problem(
                    FormatKeys.NVFP4_RANGE, "four_over_six = true chooses the range of a block itself; leave one out");
            range = Range.MINMAX;
        }
        Optional<Float> amax = rules.bounds() && table.has(FormatKeys.AMAX)
                ? Optional.of(table.read(FormatKeys.AMAX).floatValue())
                : Optional.empty();
        if (amax.isPresent() && !tensorScale) {
            table.problem(FormatKeys.AMAX, "it decides the tensor scale, and there is none");
            amax = Optional.empty();
        }
        return new Nvfp4Format(rule, tensorScale, fourOverSix, range, isShared(table, rules, tensorScale), amax);
    }

    private static boolean isShared(ConfigTable table, Formats.Rules rules, boolean tensorScale) {
        boolean isShared = table.read(FormatKeys.SHARED_SCALE);
        if (isShared && !rules.ofLinear()) {
            table.problem(FormatKeys.SHARED_SCALE, "only the weights of linears have others beside them; leave it out");
            return false;
        }
        if (isShared && !tensorScale) {
            table.problem(FormatKeys.SHARED_SCALE, "there is no tensor scale to share; leave one of the two keys out");
            return false;
        }
        return isShared;
    }

    /** Returns the same format with the tensor scale for this largest magnitude. */
    public Nvfp4Format withAmax(float largest) {
        return new Nvfp4Format(rule, tensorScale, fourOverSix, range, isShared, Optional.of(largest));
    }

    @Override
    public boolean asksAboutLinear() {
        return isShared;
    }

    /** A shared scale is taken once: with a largest magnitude, nothing is asked. */
    @Override
    public NumberFormat knowing(LinearFacts facts) throws IOException {
        return isShared && amax.isEmpty() ? withAmax(facts.sharedAmax(this)) : this;
    }

    /** Returns the largest magnitude of a weight that blocks cover, from which its tensor scale follows. */
    public float largest(NDArray weight) {
        FloatBuffer values = NativeFloats.window(weight);
        return largest(chosen(values, blocks(weight.getShape(), Operand.WEIGHT)));
    }

    private static float largest(float[] magnitudes) {
        float largest = 0;
        for (float magnitude : magnitudes) {
            largest = Math.max(largest, magnitude);
        }
        return largest;
    }

    @Override
    public NumberFormat dynamic() {
        return new Nvfp4Format(rule, tensorScale, fourOverSix, range, isShared, Optional.empty());
    }

    private Nvfp4Scales arithmetic() {
        return new Nvfp4Scales(rule, tensorScale, fourOverSix ? LARGEST_WITH_FOUR : SCALE.largest());
    }

    private SmallFloatKernel.Rounding rounding() {
        return SmallFloatKernel.Rounding.even(ELEMENT, arithmetic().divides());
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return IntegerFormat.Granularity.GROUP.blocks(shape, operand, BLOCK_SIZE);
    }

    @Override
    public NumberFormat unsearched() {
        return new Nvfp4Format(rule, tensorScale, fourOverSix, Range.MINMAX, amax);
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        measured(values, blocks(shape, operand)).roundOwn(values);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        SmallFloatEncoding encoding = measured(values, blocks(shape, operand));
        encoding.roundOwn(values);
        return encoding;
    }

    private SmallFloatEncoding measured(FloatBuffer values, Blocks blocks) {
        float[] chosen = chosen(values, blocks);
        return measured(values, blocks, chosen, ofTensors(chosen, blocks));
    }

    private SmallFloatEncoding measured(FloatBuffer values, Blocks blocks, float[] chosen, float[] tensor) {
        byte[] scales = fourOverSix
                ? betterOfFourAndSix(values, blocks, tensor, chosen)
                : scales(blocks, tensor, chosen, Nvfp4Scales.LARGEST);
        return encoding(blocks, tensor, scales);
    }

    /** Returns the largest magnitude that each block covers. */
    private float[] chosen(FloatBuffer values, Blocks blocks) {
        float[] amaxes = amaxes(values, blocks);
        return switch (range) {
            case MINMAX -> amaxes;
            case MSE -> Nvfp4Search.MSE.run(values, blocks, amaxes);
            case EXPANDED_MSE -> Nvfp4Search.EXPANDED_MSE.run(values, blocks, amaxes);
            case PERCENTILE, MOVING_AVERAGE -> throw new IllegalStateException(range + " is a rule for calibration");
        };
    }

    private float[] amaxes(FloatBuffer values, Blocks blocks) {
        float[] amaxes = new float[Math.toIntExact(blocks.count())];
        blocks.visit(values, layout -> {
            SmallFloatKernel kernel = new SmallFloatKernel(rounding(), layout);
            return (strip, tile, at, rows) -> {
                int[] maxima = kernel.measure(tile, at, rows);
                for (int block = 0; block < maxima.length; block++) {
                    amaxes[strip * maxima.length + block] = Float.intBitsToFloat(maxima[block]);
                }
            };
        });
        return amaxes;
    }

    /** Returns the scale of each matrix; a single one if the largest magnitude is given, or 1. */
    private float[] ofTensors(float[] amaxes, Blocks blocks) {
        float[] tensor = new float[tensorScales(blocks)];
        int size = tensor.length == 0 ? 0 : amaxes.length / tensor.length;
        for (int i = 0; i < tensor.length; i++) {
            float largest = amax.orElseGet(() -> 0f);
            for (int block = i * size; block < (i + 1) * size && amax.isEmpty(); block++) {
                largest = Math.max(largest, amaxes[block]);
            }
            tensor[i] = arithmetic().ofTensor(largest);
        }
        return tensor;
    }

    private int tensorScales(Blocks blocks) {
        return tensorScale && amax.isEmpty() ? blocks.batch() : 1;
    }

    /** Returns the scale of a block's tensor. */
    private static float of(float[] tensor, Blocks blocks, int block) {
        return tensor[(int) (block / (blocks.count() / tensor.length))];
    }

    private byte[] scales(Blocks blocks, float[] tensor, float[] amaxes, float element) {
        byte[] scales = new byte[amaxes.length];
        Nvfp4Scales arithmetic = arithmetic();
        forEachBlock(scales.length, block -> {
            scales[block] = code(arithmetic.ofBlock(of(tensor, blocks, block), amaxes[block], element));
        });
        return scales;
    }

    private static void forEachBlock(int count, IntConsumer work) {
        Parallel.forEach((count + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE, () -> work, (same, piece) -> {
            int end = Math.min(count, (piece + 1) * BLOCKS_AT_ONCE);
            for (int block = piece * BLOCKS_AT_ONCE; block < end; block++) {
                same.accept(block);
            }
        });
    }

    private static byte code(float scale) {
        return (byte) SCALE.code(scale);
    }

    private byte[] betterOfFourAndSix(FloatBuffer values, Blocks blocks, float[] tensor, float[] amaxes) {
        byte[] scales = scales(blocks, tensor, amaxes, Nvfp4Scales.LARGEST);
        byte[] larger = scales(blocks, tensor, amaxes, 4);
        Nvfp4Scales arithmetic = arithmetic();
        blocks.visit(values, layout -> {
            ScaleTrial trial = new ScaleTrial(rounding(), layout);
            double[] six = new double[layout.across()];
            return (strip, tile, at, rows) -> {
                int first = strip * six.length;
                for (byte[] tried : List.of(scales, larger)) {
                    for (int block = 0; block < six.length; block++) {
                        float shared = of(tensor, blocks, first + block);
                        float own = SCALE.value(tried[first + block]);
                        trial.set(block, arithmetic.scale(shared, own), arithmetic.factor(shared, own));
                    }
                    trial.round(tile, at, rows);
                    for (int block = 0; block < six.length; block++) {
                        double error = trial.squaredError(block, tile, at, rows);
                        if (tried == scales) {
                            six[block] = error;
                        } else if (error < six[block]) {
                            scales[first + block] = larger[first + block];
                        }
                    }
                }
            };
        });
        return scales;
    }

    private SmallFloatEncoding encoding(Blocks blocks, float[] tensor, byte[] codes) {
        Nvfp4Scales arithmetic = arithmetic();
        float[] scales = new float[codes.length];
        float[] factors = new float[codes.length];
        forEachBlock(codes.length, block -> {
            float own = SCALE.value(codes[block]);
            scales[block] = arithmetic.scale(of(tensor, blocks, block), own);
            factors[block] = arithmetic.factor(of(tensor, blocks, block), own);
        });
        Map<String, RawTensor> parts = new LinkedHashMap<>();
        parts.put(SmallFloatEncoding.SCALE, RawTensor.of(codes, blocks.strips(), blocks.across()));
        if (tensorScale) {
            parts.put(TENSOR_SCALE, RawTensor.of(tensor, tensor.length));
        }
        return new SmallFloatEncoding(rounding(), blocks, scales, factors, parts);
    }

    @Override
    public GridFormat ofTensor(FloatBuffer values, Shape shape, Operand operand) {
        if (!tensorScale || amax.isPresent()) {
            return this;
        }
        float largest = largest(chosen(values, blocks(shape, operand)));
        return Float.isFinite(largest) ? withAmax(largest) : this;
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        Blocks blocks = blocks(shape, operand);
        ByteBuffer stored = parts.require(SmallFloatEncoding.SCALE, StoredType.U8, blocks.strips(), blocks.across());
        byte[] codes = new byte[Math.toIntExact(blocks.count())];
        stored.get(0, codes);
        for (int i = 0; i < codes.length; i++) {
            if (codes[i] < 0) {
                throw parts.wrong(SmallFloatEncoding.SCALE, "from 0 to 127", (codes[i] & 0xff) + " at " + i);
            }
        }
        float[] tensor = new float[tensorScales(blocks)];
        if (tensorScale) {
            parts.require(TENSOR_SCALE, StoredType.F32, tensor.length)
                    .asFloatBuffer()
                    .get(tensor);
        } else {
            tensor[0] = 1;
        }
        for (int i = 0; i < tensor.length; i++) {
            if (tensor[i] < 0) {
                throw parts.wrong(TENSOR_SCALE, "no negative number", tensor[i] + " at " + i);
            }
        }
        return encoding(blocks, tensor, codes);
    }

    @Override
    public Optional<String> settingForOneRange() {
        return tensorScale ? Optional.empty() : Optional.of("tensor_scale = true");
    }

    @Override
    public boolean isSymmetric() {
        return true;
    }

    @Override
    public Encoding fitWithin(List<Bounds> ranges, FloatBuffer values, Shape shape, Operand operand) {
        return withAmax(ranges.get(0).largestMagnitude()).fit(values, shape, operand);
    }

    @Override
    public Encoding fitWithScale(float scale, int zeroPoint, FloatBuffer values, Shape shape, Operand operand) {
        if (!tensorScale || zeroPoint != 0) {
            throw new IllegalArgumentException(this + " has no such tensor scale");
        }
        Blocks blocks = blocks(shape, operand);
        SmallFloatEncoding encoding = measured(values, blocks, chosen(values, blocks), new float[] {scale});
        encoding.roundOwn(values);
        return encoding;
    }

    @Override
    public Encoding readWithin(Shape shape, Operand operand, Parts parts) throws IOException {
        return withAmax(0).read(shape, operand, parts);
    }

    @Override
    public double storageBitsWithin(Shape shape, Operand operand) {
        return withAmax(0).storageBits(shape, operand);
    }

    @Override
    public Optional<String> settingForRows() {
        return tensorScale ? Optional.of("rule = \"torchao\" and tensor_scale = false") : Optional.empty();
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("rule", Formats.label(rule));
        table.put("tensor_scale", tensorScale);
        table.put("four_over_six", fourOverSix);
        table.put("range", Formats.label(range));
        table.put("shared_scale", isShared);
        amax.ifPresent(largest -> table.put(AMAX, largest));
        return table;
    }

    @Override
    public int bits() {
        return ELEMENT.bits();
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        double shared = tensorScale ? TENSOR_SCALE_BITS * (double) tensorScales(blocks) : 0;
        return (double) ELEMENT.bits() * shape.size() + (double) SCALE.bits() * blocks.count() + shared;
    }
}
