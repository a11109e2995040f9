package dev.ptq.method;

import dev.ptq.config.ConfigTable;

/**
 * LRQuant: OmniQuant with another start of the factors, shifts everywhere, and a loss that also looks at the direction of
 * the outputs. Source: LRQuant (ACL 2024).
 */
record LrQuant(Transformation transformation, Clipping clipping, Training training) implements LearnedMethod {
    static LrQuant read(ConfigTable table) {
        Transformation transformation = Transformation.read(table, ScaleStart.Rule.LOG_OF_ACTIVATION, "zero", 1e-3);
        double weight = table.decimal("nlc_weight", 1, 0, 1e6);
        return new LrQuant(
                transformation,
                Clipping.read(table),
                Training.readEpochs(table, Training.Loss.SQUARED_AND_COSINE, weight));
    }

    @Override
    public String name() {
        return "lrquant";
    }

    @Override
    public boolean learnsRounding() {
        return clipping.learned();
    }

    @Override
    public BlockParametrization parametrization(BlockWork work) {
        return new BlockParametrization(
                work.block(),
                work.quantization(),
                transformation.scalings(work),
                linear -> clipping.rounding(work, linear));
    }
}
