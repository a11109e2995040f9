package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import java.util.Optional;

/**
 * LRQuant: OmniQuant with different initial factors, shifts everywhere, and a loss that also compares the direction of
 * the outputs. Source: LRQuant (ACL 2024).
 */
record LrQuant(Transformation transformation, Clipping clipping, Training training) implements LearnedMethod.OfRanges {
    private static final Transformation.Defaults DEFAULTS =
            new Transformation.Defaults(ScaleStart.Rule.LOG_OF_ACTIVATION, Transformation.Shift.ZERO, 1e-3);

    private static final Key<Double> COSINE_WEIGHT = Key.decimal("nlc_weight")
            .from(0.0)
            .to(1e6)
            .preset(1.0)
            .says("weight in the loss of the negative logarithm of the mean cosine");

    private static final Key<Integer> ADAPTED_EPOCHS = Key.integer("epochs")
            .from(0)
            .to(1 << 20)
            .preset(5)
            .says("passes over the chunks of a text; 0 gives the unadapted result");

    private static final Key<Integer> ADAPTED_BATCH_SIZE = Training.BATCH_SIZE.presetIs(Training.AS_THE_STEP);

    /** The keys of a step, without that of {@link TestTimeAdaptation}. */
    static final Keys KEYS =
            DEFAULTS.keys().and(COSINE_WEIGHT).and(Clipping.KEYS).and(Training.EPOCH_KEYS);

    /** The keys in a step's table for adaptation. */
    static final Keys ADAPTED_KEYS = Keys.of(ADAPTED_EPOCHS, ADAPTED_BATCH_SIZE)
            .and(Transformation.ADAPTED_KEYS)
            .and(Clipping.ADAPTED_KEYS);

    static LrQuant read(ConfigTable table) {
        Transformation transformation = Transformation.read(table, DEFAULTS);
        double weight = table.read(COSINE_WEIGHT);
        return new LrQuant(
                transformation,
                Clipping.read(table),
                Training.readEpochs(table, Training.Loss.SQUARED_AND_COSINE, weight));
    }

    /** The settings for adaptation; what the table leaves out is as it is here, except epochs. */
    LrQuant adapted(ConfigTable table) {
        int epochs = table.read(ADAPTED_EPOCHS);
        int batchSize = table.read(ADAPTED_BATCH_SIZE, training.batchSize());
        return new LrQuant(
                transformation.adapted(table),
                clipping.adapted(table),
                training.with(epochs, batchSize, Optional.empty()));
    }

    /** The same, starting from an earlier run's parameters. */
    LrQuant from(Training.Start start) {
        return new LrQuant(
                transformation, clipping, training.with(training.epochs(), training.batchSize(), Optional.of(start)));
    }

    @Override
    public Optional<TestTimeAdaptation> adaptation(ConfigTable step) {
        return step.read(TestTimeAdaptation.TABLE).map(table -> new TestTimeAdaptation(adapted(table)));
    }

    @Override
    public String name() {
        return "lrquant";
    }
}
