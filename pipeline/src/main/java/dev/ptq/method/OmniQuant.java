package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;

/**
 * OmniQuant: learned weight ranges, and learned channel factors and shifts. Source: OmniQuant (ICLR 2024).
 *
 * @param transformation empty where only ranges are learned
 */
record OmniQuant(Transformation transformation, Clipping clipping, Training training)
        implements LearnedMethod.OfRanges {
    private static final Transformation.Defaults DEFAULTS =
            new Transformation.Defaults(ScaleStart.Rule.BALANCED, Transformation.Shift.AUTO, 5e-3);

    private static final Key<Boolean> TRANSFORMED = Key.flag("let")
            .preset(true)
            .says("whether channels are transformed (learnable equivalent transformation). With `false`, its other keys"
                    + " are unknown");

    /** The keys of a step. */
    static final Keys KEYS =
            Keys.of(TRANSFORMED).and(DEFAULTS.keys()).and(Clipping.KEYS).and(Training.EPOCH_KEYS);

    static OmniQuant read(ConfigTable table) {
        Transformation transformation =
                table.read(TRANSFORMED) ? Transformation.read(table, DEFAULTS) : Transformation.none();
        return new OmniQuant(
                transformation, Clipping.read(table), Training.readEpochs(table, Training.Loss.SQUARED, 0));
    }

    @Override
    public String name() {
        return "omniquant";
    }
}
