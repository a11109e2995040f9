package dev.ptq.train;

import dev.ptq.family.ModelConfig;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Everything that decides the result of a training, apart from the texts.
 *
 * @param seed of the initial weights, the order of the texts and dropout
 * @param shape of the model
 * @param schedule of the training
 * @param shares of the sequences that are taken from each corpus, by its name; they add up to one
 */
public record Recipe(long seed, Shape shape, Schedule schedule, Map<String, Double> shares) {
    /**
     * A llama with a tied head.
     *
     * @param kvHeads key and value heads; a divisor of {@code heads}
     */
    public record Shape(
            int vocabSize, int hiddenSize, int intermediateSize, int blocks, int heads, int kvHeads, int maxPositions) {
        /** The parts of the model. */
        ModelConfig config() {
            return ModelConfig.of(configJson());
        }

        /** The content of its {@code config.json}. */
        Map<String, Object> configJson() {
            Map<String, Object> config = new LinkedHashMap<>();
            config.put("architectures", List.of("LlamaForCausalLM"));
            config.put("model_type", "llama");
            config.put("hidden_size", hiddenSize);
            config.put("intermediate_size", intermediateSize);
            config.put("num_hidden_layers", blocks);
            config.put("num_attention_heads", heads);
            config.put("num_key_value_heads", kvHeads);
            config.put("head_dim", hiddenSize / heads);
            config.put("vocab_size", vocabSize);
            config.put("max_position_embeddings", maxPositions);
            config.put("hidden_act", "silu");
            config.put("rms_norm_eps", 1e-5);
            config.put("rope_theta", 10000.0);
            config.put("attention_bias", false);
            config.put("mlp_bias", false);
            config.put("tie_word_embeddings", true);
            config.put("bos_token_id", BytePairTokenizer.START);
            config.put("eos_token_id", BytePairTokenizer.END);
            config.put("torch_dtype", "bfloat16");
            return config;
        }
    }

    /**
     * The training schedule: AdamW with β 0.9 and 0.95, a learning rate that rises linearly and falls along a cosine.
     *
     * @param steps in all
     * @param batchSize sequences in a step
     * @param seqLen tokens predicted in a sequence
     * @param warmup steps in which the learning rate rises
     * @param peakRate the highest learning rate
     * @param finalRate the learning rate of the last step
     * @param weightDecay of matrices; norms have none
     * @param gradientNorm the largest euclidean norm of all gradients together; larger ones are scaled down
     * @param dropout share of values left out of each branch
     * @param evaluateEvery steps between validations, each followed by a checkpoint
     * @param validationSequences of each corpus per validation
     */
    public record Schedule(
            int steps,
            int batchSize,
            int seqLen,
            int warmup,
            double peakRate,
            double finalRate,
            double weightDecay,
            double gradientNorm,
            double dropout,
            int evaluateEvery,
            int validationSequences) {
        /** The learning rate of a step, counted from 1. */
        double rate(int step) {
            if (step <= warmup) {
                return peakRate * step / warmup;
            }
            double progress = (step - warmup) / (double) Math.max(1, steps - warmup);
            return finalRate + (peakRate - finalRate) * 0.5 * (1 + Math.cos(Math.PI * progress));
        }
    }

    public Recipe {
        // in a fixed order, so that equal recipes draw equal sequences
        shares = new TreeMap<>(shares);
    }

    /** The texts of a corpus that this recipe names. */
    <T> T of(Map<String, T> texts, String corpus) {
        T own = texts.get(corpus);
        if (own == null) {
            throw new IllegalArgumentException("expected texts of " + shares.keySet() + ", got " + texts.keySet());
        }
        return own;
    }

    /** The recipe of the shipped model. */
    public static Recipe reference(long seed, int steps) {
        return new Recipe(
                seed,
                new Shape(4096, 256, 704, 6, 8, 4, 256),
                new Schedule(steps, 16, 256, 150, 2e-3, 1e-4, 0.1, 1, 0.1, 100, 32),
                Map.of("europarl", 0.22, "wordnet", 0.6, "dickens", 0.18));
    }
}
