package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.family.ModelConfig;
import dev.ptq.layout.StoredCheckpoint;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * A model folder opened for work: headers checked, nothing but headers in memory. Blocks are loaded one at a time, in
 * full precision, by who wants them; embedding rows are looked up in the file.
 */
public final class LanguageModel implements AutoCloseable {
    /** Weights of the head converted at a time, in values. */
    private static final int HEAD_VALUES = 1 << 25;
    /** Logits that a thread holds at a time, in values. */
    private static final int LOGITS = 1 << 21;

    private final Decoder decoder;
    private final WeightSource weights;
    private final NDManager manager = TensorEngine.newManager();

    private LanguageModel(Decoder decoder, WeightSource weights) {
        this.decoder = decoder;
        this.weights = weights;
    }

    /**
     * Opens a Hugging Face model folder.
     *
     * @throws IOException naming the file and the tensor or key, if one is missing or not what the config implies
     */
    public static LanguageModel open(Path folder) throws IOException {
        return of(ModelConfig.read(folder), StoredCheckpoint.open(folder).weights());
    }

    /**
     * Takes weights of a model of this shape, and closes them in the end.
     *
     * @throws IOException naming the tensor that is missing, or not what the shape implies
     */
    public static LanguageModel of(ModelConfig config, WeightSource source) throws IOException {
        StoredModel stored = checked(config, source);
        return new LanguageModel(stored.decoder(), stored.weights());
    }

    /**
     * What a model folder's checkpoint shows without its values.
     *
     * @param notes on what is odd about it, a sentence each
     * @param packed the linear weights that are packed, by name, and the formats that the checkpoint asks for
     */
    public record Inspection(ModelConfig config, List<String> notes, PackedModel packed) {
        public Inspection {
            notes = List.copyOf(notes);
        }
    }

    /**
     * Looks at the headers of a checkpoint, which is closed in the end.
     *
     * @throws IOException as {@link #of}
     */
    public static Inspection inspect(ModelConfig config, StoredCheckpoint checkpoint) throws IOException {
        StoredModel stored = checked(config, checkpoint.weights());
        try {
            return new Inspection(stored.decoder().config(), stored.notes(), stored.packed(checkpoint.activations()));
        } finally {
            checkpoint.weights().close();
        }
    }

    private static StoredModel checked(ModelConfig config, WeightSource source) throws IOException {
        try {
            StoredModel stored = new StoredModel(config, source);
            Decoder decoder = stored.decoder();
            WeightSource weights = stored.weights();
            for (int block = 0; block < config.blocks(); block++) {
                for (LinearSpec spec : decoder.linears(block)) {
                    weights.expect(spec.weightName(), Decoder.shape(spec.outFeatures(), spec.inFeatures()));
                    if (spec.hasBias()) {
                        weights.expect(spec.biasName(), Decoder.shape(spec.outFeatures()));
                    }
                }
                for (Map.Entry<String, List<Long>> other : decoder.others(block).entrySet()) {
                    weights.expect(decoder.prefix(block) + other.getKey(), other.getValue());
                }
            }
            for (Map.Entry<String, List<Long>> outer : decoder.outerTensors().entrySet()) {
                weights.expect(outer.getKey(), outer.getValue());
            }
            return stored;
        } catch (IOException | RuntimeException e) {
            source.close();
            throw e;
        }
    }

    /**
     * The same model with other weights, under the names of {@link #weights}. It is closed by itself, and leaves what the
     * weights are made of open.
     */
    public LanguageModel with(WeightSource others) {
        return new LanguageModel(decoder, others);
    }

    /** The same model rotated by matrices that a seed draws. It is closed by itself, and leaves this one open. */
    public LanguageModel rotated(Rotation rotation) throws IOException {
        return rotated(rotation, rotation.drawn());
    }

    /** The same model rotated by other matrices. */
    public LanguageModel rotated(Rotation rotation, Rotation.Matrices matrices) throws IOException {
        return new LanguageModel(
                new Decoder(rotation.of(config())), new RotatedWeights(config(), weights, rotation, matrices));
    }

    /** The tensors, by the names that the family has for them. */
    public WeightSource weights() {
        return weights;
    }

    /** The linears of all blocks that a model of this shape has, in order; no checkpoint is opened. */
    public static List<LinearSpec> linears(ModelConfig config) {
        Decoder decoder = new Decoder(config);
        List<LinearSpec> linears = new ArrayList<>();
        for (int block = 0; block < config.blocks(); block++) {
            linears.addAll(decoder.linears(block));
        }
        return linears;
    }

    /** The inputs of the linears of all blocks, in order, with those of mixtures and caches. */
    public static List<InputSpec> inputs(ModelConfig config) {
        Decoder decoder = new Decoder(config);
        return IntStream.range(0, config.blocks())
                .boxed()
                .flatMap(block -> decoder.inputs(block).stream())
                .toList();
    }

    /** Where the channels of a block of a model of this shape can be rescaled, in computation order. */
    public static List<SmoothingMapping> mappings(ModelConfig config, int block) {
        return Mappings.of(config.block(block)).present();
    }

    /** The longest sequences whose tokens depend on nothing but what is before them: longer ones turn positions faster. */
    public int longestWithSharedPrefixes() {
        return config().layers().stream()
                .flatMap(block -> block.attention().rope().stream())
                .mapToInt(rope -> rope.scaling().sameUpTo())
                .min()
                .orElse(Integer.MAX_VALUE);
    }

    /** The model's shape. */
    public ModelConfig config() {
        return decoder.config();
    }

    Decoder decoder() {
        return decoder;
    }

    NDManager manager() {
        return manager;
    }

    /**
     * Loads a block in full precision.
     *
     * @throws IOException naming the tensor, if a value is NaN or infinite
     */
    public Block load(int index) throws IOException {
        Block block = new Block(index, manager.newSubManager());
        try {
            for (LinearSpec spec : decoder.linears(index)) {
                NDArray weight = weights.load(block.manager(), spec.weightName());
                block.add(new Linear(
                        spec, weight, spec.hasBias() ? weights.load(block.manager(), spec.biasName()) : null));
            }
            for (String norm : decoder.others(index).keySet()) {
                block.addNorm(norm, weights.load(block.manager(), decoder.prefix(index) + norm));
            }
            return block;
        } catch (IOException | RuntimeException e) {
            block.close();
            throw e;
        }
    }

    /**
     * Looks up the first block's input.
     *
     * @param chunks token ids, all of one length
     * @param batchSize chunks in a batch; the last may have fewer
     */
    public HiddenStates embed(int[][] chunks, int batchSize) throws IOException {
        List<int[][]> batches = new ArrayList<>();
        for (int from = 0; from < chunks.length; from += batchSize) {
            batches.add(Arrays.copyOfRange(chunks, from, Math.min(chunks.length, from + batchSize)));
        }
        return embed(batches);
    }

    /**
     * Looks up the first block's input.
     *
     * @param batches token ids, of one length within a batch
     */
    public HiddenStates embed(List<int[][]> batches) throws IOException {
        return embed(batches, (batch, scratch, states) -> {
            int[][] positions = new int[batch.length][];
            Arrays.fill(positions, IntStream.range(0, batch[0].length).toArray());
            states.add(decoder.embed(weights, scratch, batch, positions));
        });
    }

    /**
     * Looks up the first block's input for trees.
     *
     * @param batches of trees; each is padded to the largest of its batch
     */
    public HiddenStates embedTrees(List<List<TokenTree>> batches) throws IOException {
        return embed(batches, (batch, scratch, states) -> {
            TokenTrees trees = new TokenTrees(batch);
            states.add(decoder.embed(weights, scratch, trees.ids(), trees.positions()), Optional.of(trees));
        });
    }

    /** Adds the input of one batch. */
    private interface Embedding<B> {
        void add(B batch, NDManager scratch, HiddenStates states) throws IOException;
    }

    private <B> HiddenStates embed(List<B> batches, Embedding<B> embedding) throws IOException {
        HiddenStates states = new HiddenStates(manager.newSubManager());
        try {
            for (B batch : batches) {
                try (NDManager scratch = manager.newSubManager()) {
                    embedding.add(batch, scratch, states);
                }
            }
            return states;
        } catch (IOException | RuntimeException e) {
            states.close();
            throw e;
        }
    }

    /** Scores places in sequences. */
    public Predictions predictions(HiddenStates states, TargetPositions places) throws IOException {
        return predictions(states, places, head());
    }

    /** As above, with other limits on the weights and on the logits in memory at a time. */
    Predictions predictions(HiddenStates states, TargetPositions places, int headValues, int logitsAtOnce)
            throws IOException {
        return predictions(states, places, new Head(weights, decoder, headValues, logitsAtOnce));
    }

    private Predictions predictions(HiddenStates states, TargetPositions places, Head head) throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            return head.predictions(scratch, finish(scratch, states), places);
        }
    }

    /**
     * Compares what this model predicts from the states of two of its variants.
     *
     * @param reference the last block's output of the one whose distribution is the measure
     * @param other likewise, for the same sequences in the same batches
     */
    public Divergence divergence(HiddenStates reference, HiddenStates other, TargetPositions places)
            throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            return head().divergence(scratch, finish(scratch, reference), finish(scratch, other), places);
        }
    }

    /** Memory that scoring takes: weights of the head, and logits of every thread with their sums in double. */
    public static long headBytes() {
        long perThread = (Float.BYTES + 2L * Double.BYTES) * LOGITS;
        return (long) HEAD_VALUES * Float.BYTES + Parallel.THREADS * perThread;
    }

    private Head head() {
        return new Head(weights, decoder, HEAD_VALUES, LOGITS);
    }

    /** Returns the logits of what follows each chunk of one batch, {@code [batch, vocabSize]}, attached to their manager. */
    public NDArray nextTokenLogits(HiddenStates states, int batch) throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            NDArray last = finish(scratch, states).get(batch).get(scratch, new NDIndex(":, -1"));
            Optional<String> bias = decoder.headBias();
            NDArray logits = decoder.logits(
                    last,
                    weights.load(scratch, decoder.headTensor()),
                    bias.isPresent() ? weights.load(scratch, bias.get()) : null);
            logits.attach(states.manager());
            return logits;
        }
    }

    /**
     * Returns the largest difference between this model's logits and another's, as a share of the largest magnitude: of the
     * tokens after a few made-up sequences.
     */
    public double logitDistance(LanguageModel other, long seed) throws IOException {
        int size = config().vocabulary().size();
        int length = Math.min(32, config().longestSequence());
        SplittableRandom random = new SplittableRandom(seed);
        int[][] sequences = new int[4][];
        for (int i = 0; i < sequences.length; i++) {
            sequences[i] = random.ints(length, 0, size).toArray();
        }
        float[] own = lastLogits(sequences);
        float[] others = other.lastLogits(sequences);
        double largest = 0;
        double distance = 0;
        for (int i = 0; i < own.length; i++) {
            largest = Math.max(largest, Math.abs(own[i]));
            distance = Math.max(distance, Math.abs((double) own[i] - others[i]));
        }
        return distance == 0 ? 0 : distance / largest;
    }

    private float[] lastLogits(int[][] sequences) throws IOException {
        try (HiddenStates states = embed(sequences, sequences.length);
                BlockRunner runner = new BlockRunner(this, BlockRunner.BlockChange.none(), false);
                Progress progress = Progress.Reporter.none().start("", config().blocks(), "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            return nextTokenLogits(states, 0).toFloatArray();
        }
    }

    /** Returns what the head takes, batch by batch, attached to {@code owner} unless it is the batch itself. */
    List<NDArray> finish(NDManager owner, HiddenStates states) throws IOException {
        Map<String, NDArray> outer = new LinkedHashMap<>();
        for (String name : decoder.finishingTensors()) {
            outer.put(name, weights.load(owner, name));
        }
        NDArray[] finished = new NDArray[states.size()];
        Parallel.forEachOfTensors(finished.length, Parallel.THREADS, i -> {
            try (NDManager scratch = owner.newSubManager()) {
                NDArray batch = states.batch(i);
                batch.tempAttach(scratch);
                NDArray result = decoder.finish(batch, name -> Objects.requireNonNull(outer.get(name), name));
                if (result != batch) {
                    result.attach(owner);
                }
                finished[i] = result;
            }
        });
        return List.of(finished);
    }

    @Override
    public void close() throws IOException {
        manager.close();
        weights.close();
    }
}
