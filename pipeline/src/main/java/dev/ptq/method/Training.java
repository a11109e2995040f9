package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.data.Digests;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
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
public record Training(
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
    private static final String EXPECTED =
            "expected a folder of learned parameters, approximate/parameters of a run, got ";

    /** Between the quantized block's outputs and those of the full-precision path. */
    public enum Loss {
        /** Mean squared error. */
        SQUARED,
        /** The same summed over the tokens of a sequence. */
        SQUARED_SUM_OF_TOKENS,
        /** Mean squared error, and the negative logarithm of the mean cosine. */
        SQUARED_AND_COSINE
    }

    /** What is done when the loss is no number. */
    public enum OnNonFinite {
        /** The run ends. */
        STOP,
        /** The block keeps the best parameters so far. */
        KEEP_BEST
    }

    /**
     * A folder of parameters, a file for each block.
     *
     * @param sha256 of their contents
     */
    public record Start(String path, String sha256) {}

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
        Path folder = Path.of(given.get());
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, "block-*.safetensors")) {
            List<Path> files = new ArrayList<>();
            found.forEach(files::add);
            Collections.sort(files);
            if (!files.isEmpty()) {
                return Optional.of(new Start(given.get(), Digests.of(files)));
            }
            table.problem("parameters", EXPECTED + "'" + folder + "', where there are none");
        } catch (NoSuchFileException | NotDirectoryException e) {
            table.problem("parameters", EXPECTED + "'" + folder + "', which is no folder");
        } catch (IOException e) {
            table.problem("parameters", e.toString());
        }
        return Optional.empty();
    }

    /** The same for other epochs and batches, from another start. */
    Training with(int otherEpochs, int otherBatchSize, Optional<Start> otherStart) {
        return new Training(
                otherEpochs,
                iterations,
                otherBatchSize,
                shuffle,
                cosine,
                loss,
                cosineWeight,
                augmented,
                quantizedActivations,
                onNonFinite,
                otherStart);
    }

    /** Steps of one epoch. */
    int stepsPerEpoch(int samples) {
        return Math.max(1, samples / batchSize);
    }

    /** Steps of a block. */
    public int steps(int samples) {
        return epochs > 0 ? epochs * stepsPerEpoch(samples) : iterations;
    }
}
