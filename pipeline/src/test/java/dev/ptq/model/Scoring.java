package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.util.Optional;

/** Logits and losses as arrays, for tests that compare them with others. */
public final class Scoring {
    private Scoring() {}

    /** Returns the logits of one batch, {@code [batch, tokens, vocabSize]}, attached to the manager of {@code states}. */
    public static NDArray logits(LanguageModel model, HiddenStates states, int batch) throws IOException {
        try (NDManager scratch = TensorEngine.newManager()) {
            NDArray finished = model.finish(scratch, states).get(batch);
            Optional<String> bias = model.decoder().headBias();
            NDArray logits = model.decoder()
                    .logits(
                            finished,
                            model.weights().load(scratch, model.decoder().headTensor()),
                            bias.isPresent() ? model.weights().load(scratch, bias.get()) : null);
            logits.attach(states.manager());
            return logits;
        }
    }

    /**
     * Returns the negative log-likelihood, in nats, of each chunk's tokens but the first, given those before it.
     *
     * @param states the last block's output for the chunks
     * @param chunks token ids, in the order they were embedded
     * @return {@code [chunk][position]}, one value fewer than the chunk has tokens
     */
    public static double[][] nextTokenLosses(LanguageModel model, HiddenStates states, int[][] chunks)
            throws IOException {
        return losses(model.predictions(states, TargetPositions.ofNextTokens(chunks)), chunks);
    }

    /** As above, with other limits on the weights and on the logits in memory at a time. */
    static double[][] nextTokenLosses(
            LanguageModel model, HiddenStates states, int[][] chunks, int headValues, int logitsAtOnce)
            throws IOException {
        return losses(
                model.predictions(states, TargetPositions.ofNextTokens(chunks), headValues, logitsAtOnce), chunks);
    }

    private static double[][] losses(Predictions predictions, int[][] chunks) {
        double[][] losses = new double[chunks.length][chunks[0].length - 1];
        int place = 0;
        for (double[] chunk : losses) {
            for (int i = 0; i < chunk.length; i++) {
                chunk[i] = predictions.loss(place++);
            }
        }
        return losses;
    }
}
