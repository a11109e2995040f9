package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import java.util.Optional;

/**
 * LRQuant: OmniQuant with another start of the factors, shifts everywhere, and a loss that also looks at the direction of
 * the outputs. Source: LRQuant (ACL 2024).
 */
record LrQuant(Transformation transformation, Clipping clipping, Training training) implements LearnedMethod.OfRanges {
    static LrQuant read(ConfigTable table) {
        Transformation transformation = Transformation.read(table, ScaleStart.Rule.LOG_OF_ACTIVATION, "zero", 1e-3);
        double weight = table.decimal("nlc_weight", 1, 0, 1e6);
        return new LrQuant(
                transformation,
                Clipping.read(table),
                Training.readEpochs(table, Training.Loss.SQUARED_AND_COSINE, weight));
    }

    /** The same for other texts; what the table leaves out is as it is here, but epochs. */
    LrQuant adapted(ConfigTable table) {
        int epochs = table.integer("epochs", 5, 0, 1 << 20);
        int batchSize = table.integer("batch_size", training.batchSize(), 1, 1 << 16);
        return new LrQuant(
                transformation.adapted(table),
                clipping.adapted(table),
                training.with(epochs, batchSize, Optional.empty()));
    }

    /** The same from parameters of an earlier run. */
    LrQuant from(Training.Start start) {
        return new LrQuant(
                transformation, clipping, training.with(training.epochs(), training.batchSize(), Optional.of(start)));
    }

    @Override
    public Optional<TestTimeAdaptation> adaptation(ConfigTable step) {
        return step.table(TestTimeAdaptation.KEY).map(table -> new TestTimeAdaptation(adapted(table)));
    }

    @Override
    public String name() {
        return "lrquant";
    }
}
