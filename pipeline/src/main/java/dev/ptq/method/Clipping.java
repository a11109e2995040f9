package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.Linear;

/**
 * How learnable weight clipping starts and moves.
 *
 * @param learned whether ranges are learned at all
 * @param init whose sigmoid is the share of the range at the start
 * @param rate of learning
 */
record Clipping(boolean learned, double init, double rate) {
    static Clipping read(ConfigTable table) {
        boolean learned = table.flag("lwc", true);
        return new Clipping(
                learned,
                learned ? table.decimal("clip_init", 4, -20, 20) : 0,
                learned ? table.decimal("lwc_learning_rate", 1e-2, 0, 10) : 0);
    }

    /** The same with the rate that a table may have. */
    Clipping adapted(ConfigTable table) {
        return learned ? new Clipping(true, init, table.decimal("lwc_learning_rate", rate, 0, 10)) : this;
    }

    /** The rounding of a linear's weight. */
    WeightRounding rounding(BlockContext context, Linear linear) {
        NumberFormat format = context.formats().of(linear.spec()).weight();
        return learned && format instanceof IntegerFormat integer
                ? new LearnedClipping(context.block().manager(), linear.spec(), integer, init, rate)
                : WeightRounding.nearest(format);
    }
}
