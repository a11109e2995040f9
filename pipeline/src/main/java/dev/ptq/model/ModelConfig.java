package dev.ptq.model;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The shape of a model, from the {@code config.json} of a Hugging Face model folder.
 *
 * @param family the {@code model_type}, see {@link Families}
 * @param hiddenSize width of the residual stream
 */
public record ModelConfig(
        String family,
        int hiddenSize,
        int blocks,
        Vocabulary vocabulary,
        Positions positions,
        AttentionShape attention,
        MlpShape mlp,
        NormShape norms) {
    /**
     * The vocabulary and its tables.
     *
     * @param size number of tokens
     * @param width of the embedding: {@code hiddenSize}, except in models that project it
     * @param tied whether the output head is the embedding
     */
    public record Vocabulary(int size, int width, boolean tied) {}

    /**
     * Position encoding.
     *
     * @param count of positions the model was made for
     * @param rope rotary position embedding; absent where positions are learned
     */
    public record Positions(int count, Optional<Rope> rope) {}

    /**
     * The shape of attention.
     *
     * @param heads of queries
     * @param kvHeads key and value heads; a divisor of {@code heads}
     * @param headDim features of a head
     * @param bias whether its linears have biases
     */
    public record AttentionShape(int heads, int kvHeads, int headDim, boolean bias) {
        /** Width of a token's queries, all heads together. */
        public int queryWidth() {
            return heads * headDim;
        }

        /** Width of a token's keys, or values, all heads together. */
        public int keyWidth() {
            return kvHeads * headDim;
        }
    }

    /**
     * The shape of the MLP.
     *
     * @param width of its middle
     * @param bias whether its linears have biases
     */
    public record MlpShape(int width, boolean bias) {}

    /**
     * The norms.
     *
     * @param bias whether they have biases besides their weights
     * @param epsilon added to the variance
     * @param first whether they stand before attention and MLP, else after the residual sum
     * @param last whether one follows the last block
     */
    public record NormShape(boolean bias, double epsilon, boolean first, boolean last) {}

    /**
     * Reads {@code config.json} in a model folder.
     *
     * @throws IOException naming the file and the key, if one is missing, has a wrong type or an unsupported value
     */
    public static ModelConfig read(Path folder) throws IOException {
        ConfigJson json = ConfigJson.read(folder);
        ModelConfig config = json.family().read(json);
        AttentionShape attention = config.attention();
        if (attention.heads() % attention.kvHeads() != 0) {
            throw json.wrong(
                    "num_key_value_heads",
                    "expected a divisor of " + attention.heads() + ", got " + attention.kvHeads());
        }
        if (config.positions().rope().isPresent() && attention.headDim() % 2 != 0) {
            throw json.wrong("head_dim", "expected an even number, got " + attention.headDim());
        }
        return config;
    }
}
