package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.Linear;

/**
 * Settings of learnable weight clipping.
 *
 * @param learned whether ranges are learned at all
 * @param init its sigmoid is the share of the range at the start
 * @param rate learning rate
 */
record Clipping(boolean learned, double init, double rate) {
    private static final Key<Boolean> LEARNED = Key.flag("lwc")
            .preset(true)
            .says("whether the ranges of weights are learned (learnable weight clipping). With `false`, its other keys"
                    + " are unknown");

    private static final Key<Double> INIT = Key.decimal("clip_init")
            .from(-20.0)
            .to(20.0)
            .preset(4.0)
            .says("where ranges start: sigmoid(4) is 98 % of their width");

    private static final Key<Double> RATE = Key.decimal("lwc_learning_rate")
            .from(0.0)
            .to(10.0)
            .preset(1e-2)
            .says("learning rate of the ranges, constant too");

    private static final Key<Double> ADAPTED_RATE = RATE.presetIs(Training.AS_THE_STEP);

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(LEARNED, INIT, RATE);

    /** The keys in a step's table for adaptation. */
    static final Keys ADAPTED_KEYS = Keys.of(ADAPTED_RATE);

    static Clipping read(ConfigTable table) {
        boolean learned = table.read(LEARNED);
        return new Clipping(learned, learned ? table.read(INIT) : 0, learned ? table.read(RATE) : 0);
    }

    /** The same with the learning rate of an adaptation table, if given. */
    Clipping adapted(ConfigTable table) {
        return learned ? new Clipping(true, init, table.read(ADAPTED_RATE, rate)) : this;
    }

    /** The rounding of a linear's weight. */
    WeightRounding rounding(BlockContext context, Linear linear) {
        NumberFormat format = context.formats().of(linear.spec()).weight();
        return learned && format instanceof IntegerFormat integer
                ? new LearnedClipping(context.block().manager(), linear.spec(), integer, init, rate)
                : WeightRounding.nearest(format);
    }
}
