package dev.ptq.format;

import dev.ptq.config.Choices;
import dev.ptq.config.Key;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import java.util.List;

/** The keys of number formats, besides the name of the format. */
final class FormatKeys {
    private static final String BITS = "bits of a value, its sign included";

    static final Key<Integer> INT_BITS = Key.integer("bits").from(2).to(16).says(BITS);

    static final Choices<Granularity> GRANULARITIES = Choices.of(
                    "tensor",
                    Granularity.TENSOR,
                    "all values. Of an activation these are the values of one sequence, in attention those of one of its"
                            + " heads, so that results do not depend on the batch")
            .and("channel", Granularity.CHANNEL, "an output feature of a weight")
            .and("token", Granularity.TOKEN, "a token of an activation")
            .and("group", Granularity.GROUP, "`group_size` neighbouring features of one output feature or one token");

    static final Key<Granularity> GRANULARITY = Key.choice("granularity", GRANULARITIES)
            .presetIs("weights: `\"channel\"`, activations: `\"token\"`, biases: `\"tensor\"`")
            .says("the values that share a scale. Weights have no `\"token\"`, activations no `\"channel\"`, and biases"
                    + " nothing but `\"tensor\"`");

    static final Key<Integer> GROUP_SIZE = Key.integer("group_size")
            .from(1)
            .preset(128)
            .says("features in a group; only with `granularity = \"group\"`");

    static final Key<Boolean> SYMMETRIC = Key.flag("symmetric")
            .presetIs("`true`, of activations `false`")
            .says(
                    "whether 0 is in the middle of the range. Otherwise the range contains 0, and there is a zero point among"
                            + " the codes");

    static final Key<Range> RANGE = Key.choice(
                    "range",
                    Choices.of("minmax", Range.MINMAX, "all values")
                            .and(
                                    "mse",
                                    Range.MSE,
                                    "the range with the least error, see below; only for weights, of up to "
                                            + IntegerFormat.MOST_SEARCHED_BITS + " bits"))
            .preset(Range.MINMAX)
            .says("the values that the codes cover");

    static final Key<Boolean> INCLUDE_ZERO = Key.flag("include_zero")
            .preset(true)
            .says(
                    "whether the range always contains 0. With `false` it is the range of the values alone, and the zero point"
                            + " may lie beyond the codes, as in OmniQuant's code; not with `symmetric = true` or `range = \"mse\"`");

    static final Key<Boolean> DYNAMIC = Key.flag(StaticFormat.DYNAMIC)
            .preset(true)
            .says(
                    "whether an activation's range is taken from the values at hand; `false` takes it from calibration, see"
                            + " below");

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

    private FormatKeys() {}
}
