package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.data.Digests;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * Training settings of a block's parameters.
 *
 * @param epochs over all samples; 0 where {@code iterations} counts
 * @param iterations with a batch drawn for each; 0 where {@code epochs} counts
 * @param batchSize samples per step
 * @param order in which samples are taken
 * @param optimizer that updates the parameters
 * @param decay of learning rates
 * @param loss to be minimized
 * @param cosineWeight of the negative log cosine in {@link Loss#SQUARED_AND_COSINE}
 * @param augmented whether the squared error to the full-precision block's outputs on quantized inputs is added
 * @param quantizedActivations whether activations in the block are rounded during training
 * @param onNonFinite reaction to a loss that is not finite
 * @param start parameters of an earlier run to start from
 */
public record Training(
        int epochs,
        int iterations,
        int batchSize,
        Order order,
        Optimizer optimizer,
        Decay decay,
        Loss loss,
        double cosineWeight,
        boolean augmented,
        boolean quantizedActivations,
        OnNonFinite onNonFinite,
        Optional<Start> start) {
    private static final String EXPECTED =
            "expected a folder of learned parameters, approximate/parameters of a run, got ";

    /** The order in which steps take the samples. */
    public enum Order {
        /** As they are, in every epoch. */
        GIVEN,
        /** In a new random order whenever fewer than a batch remain. */
        SHUFFLED,
        /** Each batch is drawn at random from all of them. */
        DRAWN
    }

    /** The optimizer. */
    public enum Optimizer {
        /** Adam without weight decay. */
        ADAM,
        /** By the sign of the gradient, see {@link dev.ptq.tensor.SignDescent}. */
        SIGN
    }

    /** What becomes of learning rates over the steps. */
    public enum Decay {
        /** They stay. */
        NONE,
        /** They fall to zero along a cosine. */
        COSINE,
        /** They fall to zero along a line. */
        LINEAR;

        /** Returns the share of the learning rate that is left after some of all steps. */
        double rate(int step, int steps) {
            return switch (this) {
                case NONE -> 1;
                case COSINE -> (1 + Math.cos(Math.PI * step / steps)) / 2;
                case LINEAR -> 1 - (double) step / steps;
            };
        }
    }

    /** Loss between the quantized block's outputs and those of the full-precision path. */
    public enum Loss {
        /** Mean squared error. */
        SQUARED,
        /** The same summed over the tokens of a sequence. */
        SQUARED_SUM_OF_TOKENS,
        /** Mean squared error plus the negative logarithm of the mean cosine. */
        SQUARED_AND_COSINE
    }

    /** Reaction to a loss that is not finite. */
    public enum OnNonFinite {
        /** The run ends. */
        STOP,
        /** The block keeps the best parameters so far. */
        KEEP_BEST
    }

    /**
     * A folder of parameters, one file per block.
     *
     * @param sha256 of their contents
     */
    public record Start(String path, String sha256) {}

    /** The default of keys whose value may differ for adaptation. */
    static final String AS_THE_STEP = "as the step";

    private static final Key<Integer> EPOCHS = Key.integer("epochs")
            .from(0)
            .to(1 << 20)
            .preset(20)
            .says("passes over the samples. Where `batch_size` does not divide their number, an epoch leaves out the"
                    + " rest");

    static final Key<Integer> BATCH_SIZE =
            Key.integer("batch_size").from(1).to(1 << 16).preset(1).says("samples in a step of training");

    private static final Key<Boolean> SHUFFLE =
            Key.flag("shuffle").preset(false).says("whether each epoch takes the samples in a new order");

    private static final Key<Boolean> AUGMENTED = Key.flag("augmented_loss")
            .preset(false)
            .says("adds the squared distance to the full-precision block's output on the quantized inputs");

    private static final Key<Integer> ITERATIONS = Key.integer("iterations")
            .from(0)
            .to(1 << 24)
            .preset(5000)
            .says("steps of training, each with a batch drawn at random");

    private static final Key<Integer> DRAWN_BATCH_SIZE = BATCH_SIZE.preset(2);

    private static final Key<Integer> SIGN_ITERATIONS = ITERATIONS
            .preset(200)
            .says("steps of training, which take the samples in a random order, and in another where fewer than a batch"
                    + " remain");

    private static final Key<Integer> SIGN_BATCH_SIZE = BATCH_SIZE.preset(8);

    private static final Key<Boolean> ACTIVATIONS =
            Key.flag("quantized_activations").preset(false).says("whether activations are rounded during training");

    private static final Key<OnNonFinite> ON_NON_FINITE = Key.choice(
                    "on_non_finite",
                    Choices.of("stop", OnNonFinite.STOP, "the run ends")
                            .and(
                                    "keep_best",
                                    OnNonFinite.KEEP_BEST,
                                    "the training of that block ends, and the block has the best parameters so far"))
            .preset(OnNonFinite.STOP)
            .says("what happens when a loss is NaN or infinite");

    private static final Key<Optional<String>> PARAMETERS = Key.path("parameters")
            .optional("")
            .says("parameters of an earlier run to start from, `results/TAG/approximate/parameters`. With `epochs = 0`"
                    + " (`iterations = 0`) its numbers come out again");

    private static final Keys ALL = Keys.of(ON_NON_FINITE, PARAMETERS);

    /** The keys of a method that counts epochs. */
    static final Keys EPOCH_KEYS =
            Keys.of(EPOCHS, BATCH_SIZE, SHUFFLE, AUGMENTED).and(ALL);

    /** The keys of a method that counts iterations. */
    static final Keys ITERATION_KEYS =
            Keys.of(ITERATIONS, DRAWN_BATCH_SIZE, ACTIVATIONS).and(ALL);

    /** The keys of a method that descends by the sign of the gradient. */
    static final Keys SIGN_KEYS = Keys.of(SIGN_ITERATIONS, SIGN_BATCH_SIZE).and(ALL);

    /** Reads the keys of a method that counts epochs. */
    static Training readEpochs(ConfigTable table, Loss loss, double cosineWeight) {
        int epochs = table.read(EPOCHS);
        int batchSize = table.read(BATCH_SIZE);
        boolean shuffle = table.read(SHUFFLE);
        boolean augmented = table.read(AUGMENTED);
        return new Training(
                epochs,
                0,
                batchSize,
                shuffle ? Order.SHUFFLED : Order.GIVEN,
                Optimizer.ADAM,
                Decay.NONE,
                loss,
                cosineWeight,
                augmented,
                true,
                table.read(ON_NON_FINITE),
                start(table));
    }

    /** Reads the keys of a method that counts iterations. */
    static Training readIterations(ConfigTable table, Loss loss) {
        int iterations = table.read(ITERATIONS);
        int batchSize = table.read(DRAWN_BATCH_SIZE);
        boolean activations = table.read(ACTIVATIONS);
        return new Training(
                0,
                iterations,
                batchSize,
                Order.DRAWN,
                Optimizer.ADAM,
                Decay.COSINE,
                loss,
                0,
                false,
                activations,
                table.read(ON_NON_FINITE),
                start(table));
    }

    /** Reads the keys of a method that descends by the sign of the gradient. */
    static Training readSign(ConfigTable table) {
        return new Training(
                0,
                table.read(SIGN_ITERATIONS),
                table.read(SIGN_BATCH_SIZE),
                Order.SHUFFLED,
                Optimizer.SIGN,
                Decay.LINEAR,
                Loss.SQUARED,
                0,
                false,
                true,
                table.read(ON_NON_FINITE),
                start(table));
    }

    private static Optional<Start> start(ConfigTable table) {
        Optional<String> given = table.read(PARAMETERS);
        if (given.isEmpty()) {
            return Optional.empty();
        }
        Path folder = Path.of(given.get()).toAbsolutePath().normalize();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, "block-*.safetensors")) {
            List<Path> files = new ArrayList<>();
            found.forEach(files::add);
            Collections.sort(files);
            if (!files.isEmpty()) {
                return Optional.of(new Start(folder.toString(), Digests.of(files)));
            }
            table.problem(PARAMETERS, EXPECTED + "'" + folder + "', where there are none");
        } catch (NoSuchFileException | NotDirectoryException e) {
            table.problem(PARAMETERS, EXPECTED + "'" + folder + "', which is no folder");
        } catch (IOException e) {
            table.problem(PARAMETERS, e.toString());
        }
        return Optional.empty();
    }

    /** The same with other epochs, batches and start. */
    Training with(int otherEpochs, int otherBatchSize, Optional<Start> otherStart) {
        return new Training(
                otherEpochs,
                iterations,
                otherBatchSize,
                order,
                optimizer,
                decay,
                loss,
                cosineWeight,
                augmented,
                quantizedActivations,
                onNonFinite,
                otherStart);
    }

    /** Steps per pass over the samples. */
    int stepsPerPass(int samples) {
        return Math.max(1, samples / batchSize);
    }

    /** Steps per block. */
    public int steps(int samples) {
        return epochs > 0 ? epochs * stepsPerPass(samples) : iterations;
    }
}
