package dev.ptq.format;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.format.HqqSolver.Stop;
import dev.ptq.format.IntegerFormat.Granularity;

/** The keys of {@link HqqFormat}. */
final class HqqKeys {
    /** A solver of the released code. */
    private enum Preset {
        DEFAULT(20, Stop.LAST, 1),
        V2(20, Stop.BEST, 1.01),
        SLOW(100, Stop.NEVER, 1.01);

        private final int iterations;
        private final Stop stop;
        private final double kappa;

        Preset(int iterations, Stop stop, double kappa) {
            this.iterations = iterations;
            this.stop = stop;
            this.kappa = kappa;
        }
    }

    private static final Key<Integer> BITS =
            Key.integer("bits").from(1).to(HqqFormat.MOST_BITS).says("bits of a code");

    private static final Key<Granularity> GRANULARITY = Key.choice(
                    "granularity",
                    Choices.of(
                                    "group",
                                    Granularity.GROUP,
                                    "`group_size` values of the flattened weight, also across the end of a row")
                            .and("channel", Granularity.CHANNEL, "an output feature, with `axis = 0` an input feature"))
            .preset(Granularity.GROUP)
            .says("the values that share a scale and a zero point");

    private static final Key<Integer> GROUP_SIZE = Key.integer("group_size")
            .from(1)
            .preset(64)
            .says("values in a group, of which every weight must be a multiple; only with `granularity = \"group\"`");

    private static final Key<Integer> AXIS = Key.integer("axis")
            .from(0)
            .to(1)
            .preset(1)
            .says(
                    "`1`: neighbours form a group. `0`: a weight of n values is read as `group_size` rows, and each of the n /"
                            + " `group_size` columns is a group");

    private static final Key<Boolean> ROUND_ZERO = Key.flag("round_zero")
            .preset(false)
            .says("whether zero points are rounded before the solver starts; those that it finds are not");

    private static final Key<Preset> PRESET = Key.choice(
                    "preset",
                    Choices.of("default", Preset.DEFAULT, "the default, `optimize_weights_proximal_legacy`")
                            .and("v2", Preset.V2, "`optimize_weights_proximal_v2`")
                            .and("slow", Preset.SLOW, "`optimize_weights_proximal_slow`"))
            .preset(Preset.DEFAULT)
            .says("the solver of HQQ's code whose settings the other keys have");

    private static final Key<Integer> ITERATIONS = Key.integer("iterations")
            .from(0)
            .to(100_000)
            .presetIs("`20`; `100` with `preset = \"slow\"`")
            .says("the most steps of the solver; `0` leaves the zero points at which it starts");

    private static final Key<Stop> EARLY_STOP = Key.choice(
                    "early_stop",
                    Choices.of("never", Stop.NEVER, "all steps are taken")
                            .and("last", Stop.LAST, "the zero points found in the last step are kept")
                            .and("best", Stop.BEST, "those with the smallest error are"))
            .presetIs("`\"last\"`; `\"best\"` with `preset = \"v2\"`, `\"never\"` with `\"slow\"`")
            .says("whether the solver ends once the mean error of the whole weight no longer falls, and with what");

    private static final Key<Double> NORM = Key.decimal("lp_norm")
            .from(0.1)
            .to(1.0)
            .preset(0.7)
            .says("p of the norm of errors: the smaller, the less the large ones count");

    private static final Key<Double> BETA = Key.decimal("beta")
            .from(1e-6)
            .to(1e9)
            .preset(10.0)
            .says("errors shrink by |e|^(p − 1) / `beta`; what is left of them need not be made up for");

    private static final Key<Double> KAPPA = Key.decimal("kappa")
            .from(1.0)
            .to(10.0)
            .presetIs("`1.01`; `1` with `preset = \"default\"`")
            .says("the factor by which `beta` grows with each step");

    static final Keys KEYS =
            Keys.of(BITS, GRANULARITY, GROUP_SIZE, AXIS, ROUND_ZERO, PRESET, ITERATIONS, EARLY_STOP, NORM, BETA, KAPPA);

    private HqqKeys() {}

    static HqqFormat read(ConfigTable table, Formats.Rules rules) {
        if (!rules.searched()) {
            table.problem(
                    Formats.FORMAT, HqqFormat.NAME + " is for weights: it takes dozens of passes over the values");
        }
        Granularity granularity = table.read(GRANULARITY);
        Preset preset = table.read(PRESET);
        return new HqqFormat(
                table.read(BITS),
                granularity,
                granularity == Granularity.GROUP ? table.read(GROUP_SIZE) : 0,
                table.read(AXIS),
                table.read(ROUND_ZERO),
                new HqqSolver(
                        table.read(ITERATIONS, preset.iterations),
                        table.read(EARLY_STOP, preset.stop),
                        table.read(NORM),
                        table.read(BETA),
                        table.read(KAPPA, preset.kappa)));
    }
}
