package dev.ptq.method;

import dev.ptq.config.ConfigTable;

/**
 * OmniQuant: learned ranges of weights, and learned factors and shifts of channels. Source: OmniQuant (ICLR 2024).
 *
 * @param transformation empty where only ranges are learned
 */
record OmniQuant(Transformation transformation, Clipping clipping, Training training)
        implements LearnedMethod.OfRanges {
    static OmniQuant read(ConfigTable table) {
        Transformation transformation = table.flag("let", true)
                ? Transformation.read(table, ScaleStart.Rule.BALANCED, "auto", 5e-3)
                : Transformation.none();
        return new OmniQuant(
                transformation, Clipping.read(table), Training.readEpochs(table, Training.Loss.SQUARED, 0));
    }

    @Override
    public String name() {
        return "omniquant";
    }
}
