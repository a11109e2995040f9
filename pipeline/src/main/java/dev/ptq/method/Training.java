package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.data.Digests;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How the parameters of a block are trained. The optimizer is Adam without weight decay.
 *
 * @param epochs over all samples; 0 where {@code iterations} counts
 * @param iterations with a batch drawn for each; 0 where {@code epochs} counts
 * @param batchSize samples of a step
 * @param shuffle whether each epoch takes the samples in another order
 * @param cosine whether learning rates fall to zero along a cosine
 * @param loss that is made small
 * @param cosineWeight of the negative log cosine in {@link Loss#SQUARED_AND_COSINE}
 * @param augmented whether the squared error to what the full-precision block makes of the quantized inputs is added
 * @param quantizedActivations whether what flows through the block is rounded while it is trained
 * @param onNonFinite what is done when the loss is no number
 * @param start parameters of an earlier run that this one starts from
 */
record Training(
        int epochs,
        int iterations,
        int batchSize,
        boolean shuffle,
        boolean cosine,
        Loss loss,
        double cosineWeight,
        boolean augmented,
        boolean quantizedActivations,
        OnNonFinite onNonFinite,
        Optional<Start> start) {
    /** Between the quantized block's outputs and those of the full-precision path. */
    enum Loss {
        /** Mean squared error. */
        SQUARED,
        /** The same summed over the tokens of a sequence. */
        SQUARED_SUM_OF_TOKENS,
        /** Mean squared error, and the negative logarithm of the mean cosine. */
        SQUARED_AND_COSINE
    }

    /** What is done when the loss is no number. */
    enum OnNonFinite {
        /** The run ends. */
        STOP,
        /** The block keeps the best parameters so far. */
        KEEP_BEST
    }

    /**
     * A file of parameters.
     *
     * @param sha256 of its content
     */
    record Start(String path, String sha256) {}

    /** Reads the keys of a method that counts epochs. */
    static Training readEpochs(ConfigTable table, Loss loss, double cosineWeight) {
        int epochs = table.integer("epochs", 20, 0, 1 << 20);
        int batchSize = table.integer("batch_size", 1, 1, 1 << 16);
        boolean shuffle = table.flag("shuffle", false);
        boolean augmented = table.flag("augmented_loss", false);
        return new Training(
                epochs,
                0,
                batchSize,
                shuffle,
                false,
                loss,
                cosineWeight,
                augmented,
                true,
                onNonFinite(table),
                start(table));
    }

    /** Reads the keys of a method that counts iterations. */
    static Training readIterations(ConfigTable table, Loss loss) {
        int iterations = table.integer("iterations", 5000, 0, 1 << 24);
        int batchSize = table.integer("batch_size", 2, 1, 1 << 16);
        boolean activations = table.flag("quantized_activations", false);
        return new Training(
                0, iterations, batchSize, true, true, loss, 0, false, activations, onNonFinite(table), start(table));
    }

    private static OnNonFinite onNonFinite(ConfigTable table) {
        Map<String, OnNonFinite> choices = new LinkedHashMap<>();
        choices.put("stop", OnNonFinite.STOP);
        choices.put("keep_best", OnNonFinite.KEEP_BEST);
        return table.choice("on_non_finite", choices, "stop");
    }

    private static Optional<Start> start(ConfigTable table) {
        Optional<String> given = table.optionalString("parameters");
        if (given.isEmpty()) {
            return Optional.empty();
        }
        Path file = Path.of(given.get());
        if (!Files.isRegularFile(file)) {
            table.problem(
                    "parameters",
                    "expected a file of parameters, approximate/parameters.safetensors of a run, got '" + file
                            + "', which is not there");
            return Optional.empty();
        }
        try {
            return Optional.of(new Start(given.get(), Digests.of(List.of(file))));
        } catch (IOException e) {
            table.problem("parameters", String.valueOf(e.getMessage()));
            return Optional.empty();
        }
    }

    /** Steps of one epoch. */
    int stepsPerEpoch(int samples) {
        return Math.max(1, samples / batchSize);
    }

    /** Steps of a block. */
    int steps(int samples) {
        return epochs > 0 ? epochs * stepsPerEpoch(samples) : iterations;
    }
}
