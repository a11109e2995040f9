package dev.ptq.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The shape of a model, from the {@code config.json} of a Hugging Face model folder.
 *
 * @param hiddenSize width of the residual stream
 * @param kvHeads key and value heads; a divisor of {@code heads}
 * @param embeddingSize width of the embedding, {@code hiddenSize} except in models that project it
 * @param normEpsilon added to the variance in norms
 * @param normFirst whether norms stand before attention and MLP (else after the residual sum)
 * @param finalNorm whether a norm follows the last block
 * @param tiedHead whether the output head is the embedding
 * @param rope rotary position embedding; absent where positions are learned
 */
public record ModelConfig(
        Family family,
        int hiddenSize,
        int intermediateSize,
        int blocks,
        int heads,
        int kvHeads,
        int headDim,
        int vocabSize,
        int maxPositions,
        int embeddingSize,
        double normEpsilon,
        boolean normFirst,
        boolean finalNorm,
        boolean attentionBias,
        boolean mlpBias,
        boolean tiedHead,
        @Nullable Rope rope) {

    /** The model families there are. */
    public enum Family {
        LLAMA("llama"),
        OPT("opt");

        private final String modelType;

        Family(String modelType) {
            this.modelType = modelType;
        }

        /** The {@code model_type} of {@code config.json}. */
        public String modelType() {
            return modelType;
        }
    }

    /**
     * Reads {@code config.json} in a model folder.
     *
     * @throws IOException naming the file and the key, if one is missing, has a wrong type or asks for what is not
     *     supported
     */
    public static ModelConfig read(Path folder) throws IOException {
        Path file = folder.resolve("config.json");
        if (!Files.exists(file)) {
            throw new IOException(file + ": no such file; expected a Hugging Face model folder");
        }
        JsonNode json;
        try {
            json = JsonMapper.shared().readTree(Files.readAllBytes(file));
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        return new Reader(file, json).config();
    }

    /** Reads keys, each error with file and key. */
    private record Reader(Path file, JsonNode json) {
        ModelConfig config() throws IOException {
            JsonNode type = json.path("model_type");
            for (Family family : Family.values()) {
                if (type.isString() && family.modelType().equals(type.asString())) {
                    ModelConfig config = switch (family) {
                        case LLAMA -> llama();
                        case OPT -> opt();
                    };
                    if (config.heads() % config.kvHeads() != 0) {
                        throw wrong(
                                "num_key_value_heads",
                                "expected a divisor of " + config.heads() + ", got " + config.kvHeads());
                    }
                    if (config.rope() != null && config.headDim() % 2 != 0) {
                        throw wrong("head_dim", "expected an even number, got " + config.headDim());
                    }
                    return config;
                }
            }
            List<String> known =
                    List.of(Family.values()).stream().map(Family::modelType).toList();
            throw wrong("model_type", "expected one of " + known + ", got " + type);
        }

        private ModelConfig llama() throws IOException {
            expect("hidden_act", "silu");
            int hidden = size("hidden_size", null);
            int heads = size("num_attention_heads", null);
            return new ModelConfig(
                    Family.LLAMA,
                    hidden,
                    size("intermediate_size", null),
                    size("num_hidden_layers", null),
                    heads,
                    size("num_key_value_heads", heads),
                    size("head_dim", divided(hidden, heads)),
                    size("vocab_size", null),
                    size("max_position_embeddings", 2048),
                    hidden,
                    number("rms_norm_eps", 1e-6),
                    true,
                    true,
                    flag("attention_bias", false),
                    flag("mlp_bias", false),
                    flag("tie_word_embeddings", false),
                    rope());
        }

        private ModelConfig opt() throws IOException {
            expect("activation_function", "relu");
            int hidden = size("hidden_size", null);
            int heads = size("num_attention_heads", null);
            boolean normFirst = flag("do_layer_norm_before", true);
            boolean bias = flag("enable_bias", true);
            if (!flag("layer_norm_elementwise_affine", true)) {
                throw wrong("layer_norm_elementwise_affine", "expected true, got false");
            }
            return new ModelConfig(
                    Family.OPT,
                    hidden,
                    size("ffn_dim", null),
                    size("num_hidden_layers", null),
                    heads,
                    heads,
                    divided(hidden, heads),
                    size("vocab_size", null),
                    size("max_position_embeddings", 2048),
                    size("word_embed_proj_dim", hidden),
                    1e-5,
                    normFirst,
                    normFirst && !flag("_remove_final_layer_norm", false),
                    bias,
                    bias,
                    flag("tie_word_embeddings", true),
                    null);
        }

        private Rope rope() throws IOException {
            String table = json.hasNonNull("rope_parameters") ? "rope_parameters" : "rope_scaling";
            JsonNode settings = json.path(table);
            if (json.hasNonNull(table) && !settings.isObject()) {
                throw wrong(table, "expected an object, got " + settings);
            }
            double theta = number(table + ".rope_theta", number("rope_theta", 10000));
            String type =
                    settings.path("rope_type").asString(settings.path("type").asString("default"));
            Rope.Scaling scaling = switch (type) {
                case "default" -> new Rope.Unscaled();
                case "linear" -> new Rope.Linear(required(table + ".factor"));
                case "llama3" ->
                    new Rope.Llama3(
                            required(table + ".factor"),
                            required(table + ".low_freq_factor"),
                            required(table + ".high_freq_factor"),
                            (int) required(table + ".original_max_position_embeddings"));
                default ->
                    throw wrong(
                            table + ".rope_type", "expected one of [default, linear, llama3], got \"" + type + "\"");
            };
            return new Rope(theta, scaling);
        }

        private int divided(int hidden, int heads) throws IOException {
            if (hidden % heads != 0 && !json.hasNonNull("head_dim")) {
                throw wrong("num_attention_heads", "expected a divisor of hidden_size " + hidden + ", got " + heads);
            }
            return Math.max(1, hidden / heads);
        }

        private int size(String key, @Nullable Integer preset) throws IOException {
            JsonNode node = json.path(key);
            if (node.isMissingNode() || node.isNull()) {
                if (preset == null) {
                    throw wrong(key, "is missing");
                }
                return preset;
            }
            if (!node.isIntegralNumber() || !node.canConvertToInt() || node.asInt() < 1) {
                throw wrong(key, "expected a whole number of at least 1, got " + node);
            }
            return node.asInt();
        }

        /** The number at a key, or at {@code table.key}. */
        private double number(String path, double preset) throws IOException {
            JsonNode node = json;
            for (String key : path.split("\\.", -1)) {
                node = node.path(key);
            }
            if (node.isMissingNode() || node.isNull()) {
                return preset;
            }
            if (!node.isNumber() || !(node.asDouble() > 0) || Double.isInfinite(node.asDouble())) {
                throw wrong(path, "expected a positive number, got " + node);
            }
            return node.asDouble();
        }

        private double required(String path) throws IOException {
            double number = number(path, Double.NaN);
            if (Double.isNaN(number)) {
                throw wrong(path, "is missing");
            }
            return number;
        }

        private boolean flag(String key, boolean preset) throws IOException {
            JsonNode node = json.path(key);
            if (node.isMissingNode() || node.isNull()) {
                return preset;
            }
            if (!node.isBoolean()) {
                throw wrong(key, "expected true or false, got " + node);
            }
            return node.asBoolean();
        }

        private void expect(String key, String only) throws IOException {
            JsonNode node = json.path(key);
            boolean leftOut = node.isMissingNode() || node.isNull();
            if (!leftOut && !(node.isString() && node.asString().equals(only))) {
                throw wrong(key, "expected \"" + only + "\", got " + node);
            }
        }

        private IOException wrong(String key, String what) {
            return new IOException(file + ": " + key + ": " + what);
        }
    }
}
