package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.ShiftedIntegers;
import dev.ptq.model.Linear;
import java.util.Optional;

/**
 * AutoRound: a learned shift of each weight before it is rounded, and learned ranges, by the sign of the gradient.
 * Source: SignRound (EMNLP 2024 Findings) and its code.
 *
 * @param rate learning rate of shifts
 * @param rangeRate learning rate of the ends of ranges
 * @param halfScales whether scales are rounded to float16, in training too
 */
record AutoRound(double rate, double rangeRate, boolean halfScales, Training training) implements LearnedMethod {
    private static final Key<Optional<Double>> RATE = Key.decimal("learning_rate")
            .from(0.0)
            .to(10.0)
            .optional("1 / `iterations`")
            .says("size of a step at the start, which falls to zero along a line. A value moves by it whatever the size"
                    + " of its gradient, so that by default it comes half a step of the grid far at most");

    private static final Key<Optional<Double>> RANGE_RATE = Key.decimal("minmax_learning_rate")
            .from(0.0)
            .to(10.0)
            .optional("as `learning_rate`")
            .says("the same for the factors of both ends of ranges, which stay between 0 and 1; with 0, ranges are not"
                    + " learned");

    private static final Key<Boolean> HALF_SCALES = Key.choice(
                    "scale_type",
                    Choices.of("float16", true, "as AutoRound stores them")
                            .and("float32", false, "as plain rounding to the format has them"))
            .preset(true)
            .says("to what scales are rounded, in training too");

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(RATE, RANGE_RATE, HALF_SCALES).and(Training.SIGN_KEYS);

    static AutoRound read(ConfigTable table) {
        Training training = Training.readSign(table);
        double rate = table.read(RATE).orElse(1.0 / Math.max(1, training.iterations()));
        return new AutoRound(rate, table.read(RANGE_RATE).orElse(rate), table.read(HALF_SCALES), training);
    }

    @Override
    public String name() {
        return "autoround";
    }

    @Override
    public Transformation transformation() {
        return Transformation.none();
    }

    @Override
    public boolean learnsRounding() {
        return true;
    }

    @Override
    public boolean fits(NumberFormat format) {
        return ShiftedIntegers.fits(format);
    }

    @Override
    public String settingThatFits(NumberFormat format) {
        return "format = \"int\" with grid = \"full_range\" and range = \"minmax\"";
    }

    @Override
    public WeightRounding rounding(BlockContext context, Linear linear) {
        NumberFormat format = context.formats().of(linear.spec()).weight();
        return format instanceof IntegerGridFormat integers
                ? new LearnedShift(
                        context.block().manager(),
                        linear.spec(),
                        new ShiftedIntegers(integers, halfScales),
                        rangeRate,
                        rate)
                : WeightRounding.nearest(format);
    }
}
