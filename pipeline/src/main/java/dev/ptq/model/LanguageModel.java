package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.Checkpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A model folder opened for work: headers checked, nothing but headers in memory. Blocks are loaded one at a time, in
 * full precision, by who wants them; embedding rows are looked up in the file.
 */
public final class LanguageModel implements AutoCloseable {
    /** Weights of the head converted at a time, in values. */
    private static final int HEAD_VALUES = 1 << 25;
    /** Logits held at a time, in values. */
    private static final int LOGITS = 1 << 24;

    private final Architecture architecture;
    private final Checkpoint checkpoint;
    private final NDManager manager = TensorEngine.newManager();

    private LanguageModel(Architecture architecture, Checkpoint checkpoint) {
        this.architecture = architecture;
        this.checkpoint = checkpoint;
    }

    /**
     * Opens a Hugging Face model folder.
     *
     * @throws IOException naming the file and the tensor or key, if one is missing or not what the config implies
     */
    public static LanguageModel open(Path folder) throws IOException {
        ModelConfig config = ModelConfig.read(folder);
        Checkpoint checkpoint = Checkpoint.open(folder);
        try {
            Architecture architecture = architecture(config, checkpoint);
            for (int block = 0; block < config.blocks(); block++) {
                for (LinearSpec spec : architecture.linears(block)) {
                    checkpoint.expect(spec.weightName(), Architecture.shape(spec.outFeatures(), spec.inFeatures()));
                    if (spec.hasBias()) {
                        checkpoint.expect(spec.module() + ".bias", Architecture.shape(spec.outFeatures()));
                    }
                }
                for (Map.Entry<String, List<Long>> norm :
                        architecture.norms(block).entrySet()) {
                    checkpoint.expect(norm.getKey(), norm.getValue());
                }
            }
            for (Map.Entry<String, List<Long>> outer :
                    architecture.outerTensors().entrySet()) {
                checkpoint.expect(outer.getKey(), outer.getValue());
            }
            return new LanguageModel(architecture, checkpoint);
        } catch (IOException | RuntimeException e) {
            checkpoint.close();
            throw e;
        }
    }

    /** The linears of all blocks that a model of this shape has, in order; no checkpoint is opened. */
    public static List<LinearSpec> linears(ModelConfig config) {
        Architecture architecture = architecture(config);
        List<LinearSpec> linears = new ArrayList<>();
        for (int block = 0; block < config.blocks(); block++) {
            linears.addAll(architecture.linears(block));
        }
        return linears;
    }

    /** Where the channels of a block of a model of this shape can be rescaled. */
    public static List<SmoothingMapping> mappings(ModelConfig config) {
        return architecture(config).mappings();
    }

    private static Architecture architecture(ModelConfig config) {
        return switch (config.family()) {
            case LLAMA -> new Llama(config);
            case OPT -> new Opt(config, "model.decoder.");
        };
    }

    private static Architecture architecture(ModelConfig config, Checkpoint checkpoint) {
        // the first releases of OPT lack the outer "model."
        return checkpoint.names().contains("decoder.embed_tokens.weight")
                ? new Opt(config, "decoder.")
                : architecture(config);
    }

    /** The model's shape. */
    public ModelConfig config() {
        return architecture.config();
    }

    Architecture architecture() {
        return architecture;
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
            for (LinearSpec spec : architecture.linears(index)) {
                NDArray weight = checkpoint.load(block.manager(), spec.weightName());
                block.add(new Linear(
                        spec,
                        weight,
                        spec.hasBias() ? checkpoint.load(block.manager(), spec.module() + ".bias") : null));
            }
            for (String norm : architecture.norms(index).keySet()) {
                block.addNorm(Architecture.shortName(norm), checkpoint.load(block.manager(), norm));
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
            states.add(architecture.embed(checkpoint, scratch, batch, positions));
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
            states.add(architecture.embed(checkpoint, scratch, trees.ids(), trees.positions()), Optional.of(trees));
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

    /**
     * Returns the negative log-likelihood, in nats, of each chunk's tokens but the first, given those before it.
     *
     * @param states what the last block made of the chunks
     * @param chunks token ids, in the order they were embedded
     * @return {@code [chunk][position]}, one value fewer than the chunk has tokens
     */
    public double[][] nextTokenLosses(HiddenStates states, int[][] chunks) throws IOException {
        return nextTokenLosses(states, chunks, HEAD_VALUES, LOGITS);
    }

    /** As above, with other limits on the weights and on the logits in memory at a time. */
    double[][] nextTokenLosses(HiddenStates states, int[][] chunks, int headValues, int logitsAtOnce)
            throws IOException {
        Predictions predictions = predictions(
                states,
                TargetPositions.ofNextTokens(chunks),
                new Head(checkpoint, architecture, headValues, logitsAtOnce));
        double[][] losses = new double[chunks.length][chunks[0].length - 1];
        int place = 0;
        for (double[] chunk : losses) {
            for (int i = 0; i < chunk.length; i++) {
                chunk[i] = predictions.loss(place++);
            }
        }
        return losses;
    }

    /** Scores places in sequences. */
    public Predictions predictions(HiddenStates states, TargetPositions places) throws IOException {
        return predictions(states, places, head());
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

    private Head head() {
        return new Head(checkpoint, architecture, HEAD_VALUES, LOGITS);
    }

    /** Returns the logits of one batch, {@code [batch, tokens, vocabSize]}, attached to the manager of {@code states}. */
    public NDArray logits(HiddenStates states, int batch) throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            NDArray finished = finish(scratch, states).get(batch);
            NDArray logits = Torch.linear(finished, checkpoint.load(scratch, architecture.headTensor()));
            logits.attach(states.manager());
            return logits;
        }
    }

    /** Returns the logits of what follows each chunk of one batch, {@code [batch, vocabSize]}, attached likewise. */
    public NDArray nextTokenLogits(HiddenStates states, int batch) throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            NDArray last = finish(scratch, states).get(batch).get(scratch, new NDIndex(":, -1"));
            NDArray logits = Torch.linear(last, checkpoint.load(scratch, architecture.headTensor()));
            logits.attach(states.manager());
            return logits;
        }
    }

    private List<NDArray> finish(NDManager owner, HiddenStates states) throws IOException {
        Map<String, NDArray> outer = new LinkedHashMap<>();
        for (Map.Entry<String, List<Long>> tensor : architecture.outerTensors().entrySet()) {
            // the tables are as large as all else together, and looked up in the file
            if (tensor.getValue().get(0) < config().vocabSize()
                    || tensor.getValue().size() == 1) {
                outer.put(tensor.getKey(), checkpoint.load(owner, tensor.getKey()));
            }
        }
        List<NDArray> finished = new ArrayList<>();
        for (int i = 0; i < states.size(); i++) {
            try (NDManager scratch = owner.newSubManager()) {
                NDArray batch = states.batch(i);
                batch.tempAttach(scratch);
                NDArray result = architecture.finish(batch, name -> Objects.requireNonNull(outer.get(name), name));
                if (result != batch) {
                    result.attach(owner);
                }
                finished.add(result);
            }
        }
        return finished;
    }

    @Override
    public void close() throws IOException {
        manager.close();
        checkpoint.close();
    }
}
