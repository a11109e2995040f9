package dev.ptq.format;

import dev.ptq.config.Choices;
import dev.ptq.config.Key;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.format.MxFormat.ScaleRule;
import dev.ptq.format.SmallFloat.Ties;
import java.util.List;

/** The keys of number formats, besides the name of the format. */
final class FormatKeys {
    private static final String BITS = "bits of a value, its sign included";

    static final Key<Integer> INT_BITS = Key.integer("bits").from(2).to(16).says(BITS);

    private static final String OF_CHANNEL =
            "an output feature of a weight; with `dynamic = false`, an input feature of an activation";

    private static final String PRESET_GRANULARITY =
            "weights: `\"channel\"`, activations: `\"token\"`, with `dynamic = false` `\"tensor\"`, biases: `\"tensor\"`";

    private static final String WITH_GRANULARITY =
            "the values that share a scale. Weights have no `\"token\"`, activations `\"channel\"` only with"
                    + " `dynamic = false`, and biases nothing but `\"tensor\"`";

    static final Choices<Granularity> GRANULARITIES = Choices.of(
                    "tensor",
                    Granularity.TENSOR,
                    "all values. Of an activation these are the values of one sequence, in attention those of one of its"
                            + " heads, so that results do not depend on the batch")
            .and("channel", Granularity.CHANNEL, OF_CHANNEL)
            .and("token", Granularity.TOKEN, "a token of an activation")
            .and("group", Granularity.GROUP, "`group_size` neighbouring features of one output feature or one token");

    static final Key<Granularity> GRANULARITY = Key.choice("granularity", GRANULARITIES)
            .presetIs(PRESET_GRANULARITY)
            .says(WITH_GRANULARITY);

    static final Key<Integer> GROUP_SIZE = Key.integer("group_size")
            .from(1)
            .preset(128)
            .says("features in a group; only with `granularity = \"group\"`");

    static final Key<Boolean> PER_CHANNEL = Key.choice(
                    "per",
                    Choices.of(
                                    "token",
                                    false,
                                    "the features of a token in one head, as soon as it is there; with `dynamic = false`"
                                            + " all of a block have one range")
                            .and(
                                    "channel",
                                    true,
                                    "`group_size` tokens of a feature in one head, as soon as they are all there; until"
                                            + " then they are in full precision. With `dynamic = false` each feature in"
                                            + " each head has a range, and a token is rounded as soon as it is there"))
            .preset(false)
            .says("the values that are rounded together, to which the keys of the format apply as to a token's: with"
                    + " `\"channel\"`, the granularity `\"token\"` is a whole group, or `\"channel\"` with `dynamic ="
                    + " false`, and there is no other");

    static final Key<Integer> TOKENS = Key.integer("group_size")
            .from(1)
            .preset(128)
            .says(
                    "tokens that are rounded together, counted from the start of a sequence; with `per = \"channel\"`, not with"
                            + " `dynamic = false`");

    static final Key<Boolean> SYMMETRIC = Key.flag("symmetric")
            .presetIs("`true`, of activations `false`")
            .says(
                    "whether 0 is in the middle of the range. Otherwise the range contains 0, and there is a zero point among"
                            + " the codes");

    private static final String OF_PERCENTILE = "up to a percentile of them; only with `dynamic = false`";
    private static final String OF_AVERAGE = "the average range of a sequence; only with `dynamic = false`";

    static final Key<Range> RANGE = Key.choice(
                    "range",
                    Choices.of("minmax", Range.MINMAX, "all values")
                            .and(
                                    "mse",
                                    Range.MSE,
                                    "the range with the least error, see below; only for weights, of up to "
                                            + IntegerFormat.MOST_SEARCHED_BITS
                                            + " bits, with `grid = \"narrow\"`")
                            .and(
                                    "gptq_mse",
                                    Range.GPTQ_MSE,
                                    "the same as GPTQ searches for it; only for weights, with the other grids")
                            .and(
                                    "gptqmodel_mse",
                                    Range.GPTQMODEL_MSE,
                                    "the same as GPTQModel does, which differs for `grid = \"gptq\"` with 2 bits and"
                                            + " `symmetric = false`; likewise")
                            .and(
                                    "compressed_tensors_mse",
                                    Range.COMPRESSED_TENSORS_MSE,
                                    "the same as the `mse` observer of llm-compressor searches for it; likewise")
                            .and(
                                    "imatrix_mse",
                                    Range.IMATRIX_MSE,
                                    "the same as its observer `imatrix_mse` does, with errors weighted by the mean squares"
                                            + " of inputs in calibration; likewise, and only for linears")
                            .and("percentile", Range.PERCENTILE, OF_PERCENTILE)
                            .and("moving_average", Range.MOVING_AVERAGE, OF_AVERAGE))
            .preset(Range.MINMAX)
            .says("the values that the codes cover. With `dynamic = false` `\"minmax\"`, `\"percentile\"`,"
                    + " `\"moving_average\"` or `\"mse\"`, see below");

    /** Of formats that have a range only if it is static. */
    static final Key<Range> STATIC_RANGE = Key.choice(
                    "range",
                    Choices.of("minmax", Range.MINMAX, "all values")
                            .and("percentile", Range.PERCENTILE, OF_PERCENTILE)
                            .and("moving_average", Range.MOVING_AVERAGE, OF_AVERAGE)
                            .and("mse", Range.MSE, "the range with the least squared error, see below"))
            .preset(Range.MINMAX)
            .says("the values that are covered; only with `dynamic = false`");

    static final Key<Double> PERCENTILE = Key.decimal(StaticFormat.PERCENTILE)
            .from(50.0)
            .to(100.0)
            .preset(99.99)
            .says(
                    "hundredths of the values that are not beyond an end of the range; only with `range = \"percentile\"`");

    static final Key<Boolean> INCLUDE_ZERO = Key.flag("include_zero")
            .preset(true)
            .says(
                    "whether the range always contains 0. With `false` it is the range of the values alone, and the zero point"
                            + " may lie beyond the codes, as in OmniQuant's code; only with `grid = \"narrow\"`, not with `symmetric = true` or `range = \"mse\"`");

    static final Key<Boolean> DYNAMIC = Key.flag(StaticFormat.DYNAMIC)
            .preset(true)
            .says(
                    "whether the range of an activation, or of keys or values in a cache, is taken from the values at hand;"
                            + " `false` takes it from calibration, see below");

    private static final double LARGEST = Float.MAX_VALUE;

    /** Only for reading a written format. */
    static final Key<Double> LOW =
            Key.decimal(StaticFormat.LOW).from(-LARGEST).to(LARGEST).says("the least value in calibration");

    /** Only for reading a written format, along with {@link #LOW}. */
    static final Key<Double> HIGH =
            Key.decimal(StaticFormat.HIGH).from(-LARGEST).to(LARGEST).says("the largest value in calibration");

    static final Key<Integer> MXINT_BITS = Key.integer("bits").from(2).to(23).says(BITS);

    static final Key<List<Integer>> BLOCK_SIZE = Key.integers("block_size")
            .preset(List.of(1, 16))
            .says("one or two numbers, the sides of a block; -1 is the whole dimension");

    private static final String EXPONENT_BITS = "bits of an exponent";

    static final Key<Integer> BLOCK_EXPONENT_BITS =
            Key.integer("exponent_bits").from(1).to(8).preset(8).says(EXPONENT_BITS);

    static final Key<Integer> EXPONENT_BIAS = Key.integer("exponent_bias")
            .from(0)
            .to(255)
            .presetIs("2^(`exponent_bits` − 1) − 1")
            .says("subtracted from a stored exponent");

    static final Key<ExponentRounding> EXPONENT_ROUNDING = Key.choice(
                    "exponent_rounding",
                    Choices.of(
                                    "ceil",
                                    ExponentRounding.CEIL,
                                    "bit for bit LQER's `block_fp`, which loses a block's largest magnitude where that is a"
                                            + " power of two")
                            .and(
                                    "floor",
                                    ExponentRounding.FLOOR,
                                    "the rule of the OCP specification and of QERA's code, which keeps it"))
            .preset(ExponentRounding.CEIL)
            .says("how the exponent of a block is found");

    static final Key<Integer> MINIFLOAT_BITS =
            Key.integer("bits").from(2).to(24).says(BITS);

    static final Key<Integer> MINIFLOAT_EXPONENT_BITS =
            Key.integer("exponent_bits").from(1).to(8).says(EXPONENT_BITS);

    static final Key<Integer> FIXED_BITS = Key.integer("bits").from(1).to(31).says(BITS);

    static final Key<Integer> FRACTION_BITS =
            Key.integer("fraction_bits").from(-64).to(64).says("bits behind the point");

    static final Key<Boolean> SIGNED = Key.flag("signed").preset(true).says("whether values have a sign");

    static final Key<Integer> MX_BLOCK_SIZE = Key.integer("block_size")
            .from(1)
            .preset(MxFormat.BLOCK_SIZE)
            .says("neighbouring features that share a power of two");

    static final Key<ScaleRule> SCALE_RULE = Key.choice(
                    "scale_rule",
                    Choices.of(
                                    "floor",
                                    ScaleRule.FLOOR,
                                    "floor(log2 amax) − emax, the rule of the specification; elements beyond the largest"
                                            + " are clamped")
                            .and("ceil", ScaleRule.CEIL, "ceil(log2 amax) − emax, torchao's CEIL")
                            .and(
                                    "even",
                                    ScaleRule.EVEN,
                                    "as `floor`, with amax first rounded half up to the element's mantissa bits, torchao's"
                                            + " EVEN")
                            .and(
                                    "even_e2m1",
                                    ScaleRule.EVEN_E2M1,
                                    "the same with one mantissa bit for every element, compressed-tensors' MXFP8")
                            .and(
                                    "rceil",
                                    ScaleRule.RCEIL,
                                    "the smallest power of two that clamps nothing, torchao's RCEIL"))
            .preset(ScaleRule.FLOOR)
            .says(
                    "how a block's power of two follows from its largest magnitude amax; emax is the exponent of the largest"
                            + " element");

    static final Key<Ties> TIES = Key.choice(
                    "ties",
                    Choices.of("even", Ties.EVEN, "half to the even code")
                            .and("away", Ties.AWAY, "half away from zero, microxcaling's default")
                            .and("trunc", Ties.TRUNC, "all values towards zero"))
            .preset(Ties.EVEN)
            .says("how elements are rounded");

    static final Key<Boolean> FLUSH =
            Key.flag("flush").preset(false).says("whether a block whose magnitudes are all below 2⁻¹²⁶ becomes zeros");

    static final Choices<Fp8Format.Granularity> FP8_GRANULARITIES = Choices.of(
                    "tensor", Fp8Format.Granularity.TENSOR, "all values, of an activation as with `int`")
            .and("channel", Fp8Format.Granularity.CHANNEL, OF_CHANNEL)
            .and("token", Fp8Format.Granularity.TOKEN, "a token of an activation")
            .and("block", Fp8Format.Granularity.BLOCK, "a rectangle of `block_size`");

    static final Key<Fp8Format.Granularity> FP8_GRANULARITY = Key.choice("granularity", FP8_GRANULARITIES)
            .presetIs(PRESET_GRANULARITY)
            .says(WITH_GRANULARITY);

    static final Key<List<Integer>> FP8_BLOCK_SIZE = Key.integers("block_size")
            .presetIs("weights: `[128, 128]`, activations: `[1, 128]`")
            .says("channels or tokens, and features, of a block; -1 is the whole dimension; only with"
                    + " `granularity = \"block\"`");

    static final Key<Fp8Format.Rule> FP8_RULE = Key.choice(
                    "rule",
                    Choices.of(
                                    "compressed_tensors",
                                    Fp8Format.Rule.COMPRESSED_TENSORS,
                                    "scale amax / max, 2⁻²³ for zeros; the presets of llm-compressor, which use E4M3")
                            .and("torchao", Fp8Format.Rule.TORCHAO, "scale amax / max; zeros alone become NaN")
                            .and(
                                    "torchao_blockwise",
                                    Fp8Format.Rule.TORCHAO_BLOCKWISE,
                                    "values are multiplied by the reciprocal, amax is at least 10⁻¹²; only with"
                                            + " `granularity = \"block\"`"))
            .preset(Fp8Format.Rule.COMPRESSED_TENSORS)
            .says("the toolkit whose arithmetic of scales is followed bit for bit; max is the largest element");

    static final Key<Nvfp4Format.Rule> NVFP4_RULE = Key.choice(
                    "rule",
                    Choices.of(
                                    "compressed_tensors",
                                    Nvfp4Format.Rule.COMPRESSED_TENSORS,
                                    "a block scale of zero becomes 0.125")
                            .and(
                                    "torchao",
                                    Nvfp4Format.Rule.TORCHAO,
                                    "block scales are at least 2⁻⁶; with a tensor scale, zeros alone become NaN"))
            .preset(Nvfp4Format.Rule.COMPRESSED_TENSORS)
            .says("the toolkit whose arithmetic of scales is followed bit for bit");

    static final Key<Boolean> TENSOR_SCALE = Key.flag("tensor_scale")
            .preset(true)
            .says("whether the tensor has a float32 scale besides those of blocks; `false` only with"
                    + " `rule = \"torchao\"`");

    static final Key<Boolean> FOUR_OVER_SIX = Key.flag("four_over_six")
            .preset(false)
            .says("whether the largest magnitude of a block becomes 4 where that has a lower squared error than 6");

    static final Key<Nvfp4Format.Range> NVFP4_RANGE = Key.choice(
                    "range",
                    Choices.of("minmax", Nvfp4Format.Range.MINMAX, "all values")
                            .and(
                                    "mse",
                                    Nvfp4Format.Range.MSE,
                                    "of 81 to 100 hundredths of that, the one with the least error")
                            .and(
                                    "expanded_mse",
                                    Nvfp4Format.Range.EXPANDED_MSE,
                                    "the same for 0.81 to 1.8 times that; searches are for weights, with"
                                            + " `rule = \"compressed_tensors\"`")
                            .and("percentile", Nvfp4Format.Range.PERCENTILE, OF_PERCENTILE)
                            .and("moving_average", Nvfp4Format.Range.MOVING_AVERAGE, OF_AVERAGE))
            .preset(Nvfp4Format.Range.MINMAX)
            .says("the values that a block covers; with `dynamic = false`, those that the tensor scale is for");

    static final Key<Boolean> SHARED_SCALE = Key.flag("shared_scale")
            .preset(false)
            .says("whether the weights of linears with one input and this format, such as q, k and v, have one tensor"
                    + " scale, as servers that fuse them need it");

    /** Only for reading a written format. */
    static final Key<Double> AMAX =
            Key.decimal(Nvfp4Format.AMAX).from(0.0).to(LARGEST).says("the largest magnitude for the tensor scale");

    static final Key<IntegerGrid> GRID = Key.choice(
                    "grid",
                    Choices.of(
                                    "narrow",
                                    IntegerGrid.NARROW,
                                    "symmetric ranges end at the highest code; the grid of methods that learn, but for `autoround`")
                            .and("gptq", IntegerGrid.GPTQ, "GPTQ's and GPTQModel's")
                            .and(
                                    "compressed_tensors",
                                    IntegerGrid.COMPRESSED_TENSORS,
                                    "that of compressed-tensors and llm-compressor")
                            .and(
                                    "full_range",
                                    IntegerGrid.FULL_RANGE,
                                    "AutoRound's: the end of the larger magnitude has the lowest code, and the scale is"
                                            + " negative if that end is positive")
                            .and("torchao", IntegerGrid.TORCHAO, "torchao's, see `mapping`"))
            .preset(IntegerGrid.NARROW)
            .says("the tool whose scale, zero point and order of rounding are used, see below");

    static final Key<HalfScaleFormat.ScaleType> SCALE_DTYPE = Key.choice(
                    "scale_dtype",
                    Choices.of("float32", HalfScaleFormat.ScaleType.FLOAT32, "as they are found")
                            .and(
                                    "float16",
                                    HalfScaleFormat.ScaleType.FLOAT16,
                                    "rounded, before values are rounded with them: what most programs hold in checkpoints,"
                                            + " so that they get the values of the run"))
            .preset(HalfScaleFormat.ScaleType.FLOAT32)
            .says("the type of scales; only of weights and low-rank factors. Methods that learn take `\"float32\"`");

    static final Key<Mapping> MAPPING = Key.choice(
                    "mapping",
                    Choices.of("symmetric", Mapping.SYMMETRIC, "without a zero point")
                            .and(
                                    "symmetric_no_clipping_err",
                                    Mapping.SYMMETRIC_NO_CLIPPING_ERR,
                                    "the same, and neither end of the range is clamped")
                            .and("asymmetric", Mapping.ASYMMETRIC, "with a zero point; the range contains 0")
                            .and(
                                    "asymmetric_no_zero",
                                    Mapping.ASYMMETRIC_NO_ZERO,
                                    "the range need not contain 0, but the zero point is among the codes")
                            .and(
                                    "asymmetric_float",
                                    Mapping.ASYMMETRIC_FLOAT,
                                    "the range need not contain 0; a floating-point value of the middle code stands for"
                                            + " the zero point"))
            .presetIs("`\"symmetric\"`, of activations `\"asymmetric\"`")
            .says("only with `grid = \"torchao\"`, in place of `symmetric`");

    static final Key<Integer> NORMAL_BLOCK_SIZE = Key.integer("block_size")
            .from(1)
            .preset(NormalFloatFormat.BLOCK_SIZE)
            .says(
                    "values that share a largest magnitude, along the flattened tensor or, in activations, along a token");

    static final Key<Boolean> DOUBLE_QUANTIZATION = Key.flag("double_quantization")
            .presetIs("`false`; `true` and not to be changed with `rule = \"torchao\"`")
            .says("whether the largest magnitudes are quantized too, to 8 bits; not of activations");

    static final Key<Integer> DOUBLE_BLOCK_SIZE = Key.integer("double_block_size")
            .from(1)
            .preset(NormalFloatFormat.DOUBLE_BLOCK_SIZE)
            .says("largest magnitudes that share a scale; only with double quantization");

    static final Key<NormalFloatFormat.Rule> NORMAL_RULE = Key.choice(
                    "rule",
                    Choices.of("bitsandbytes", NormalFloatFormat.Rule.BITSANDBYTES, "")
                            .and("torchao", NormalFloatFormat.Rule.TORCHAO, "a table of four decimals"))
            .preset(NormalFloatFormat.Rule.BITSANDBYTES)
            .says("the tool whose table, order of rounding and double quantization are used");

    static final Key<TernaryFormat.Scale> TERNARY_SCALE = Key.choice(
                    "scale",
                    Choices.of("absmean", TernaryFormat.Scale.ABSMEAN, "the mean magnitude, as in BitNet b1.58")
                            .and("absmax", TernaryFormat.Scale.ABSMAX, "the largest magnitude"))
            .preset(TernaryFormat.Scale.ABSMEAN)
            .says("the value of the code 1");

    private FormatKeys() {}
}
