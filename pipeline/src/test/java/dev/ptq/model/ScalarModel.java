package dev.ptq.model;

import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Llama and OPT by the definitions of the Hugging Face library in plain loops and double precision, for one sequence at
 * a time: what the real forward pass is compared with.
 */
final class ScalarModel {
    private final JsonNode config;
    private final boolean llama;
    private final String prefix;
    private final Map<String, float[]> tensors = new HashMap<>();

    /** What a sequence becomes. */
    static final class Output {
        private final List<double[][]> hidden;
        private final double[][] logits;

        Output(List<double[][]> hidden, double[][] logits) {
            this.hidden = hidden;
            this.logits = logits;
        }

        /** The residual stream before the first block and after each. */
        List<double[][]> hidden() {
            return hidden;
        }

        /** {@code [tokens][vocabulary]}. */
        double[][] logits() {
            return logits;
        }

        /** Negative log-likelihood of every token but the first. */
        double[] losses(int[] tokens) {
            double[] losses = new double[tokens.length - 1];
            for (int i = 0; i < losses.length; i++) {
                double largest = Double.NEGATIVE_INFINITY;
                for (double logit : logits[i]) {
                    largest = Math.max(largest, logit);
                }
                double sum = 0;
                for (double logit : logits[i]) {
                    sum += Math.exp(logit - largest);
                }
                losses[i] = largest + Math.log(sum) - logits[i][tokens[i + 1]];
            }
            return losses;
        }
    }

    /** What becomes of keys and values before queries see them. */
    @FunctionalInterface
    interface Cache {
        /**
         * Returns other keys or values.
         *
         * @param hookPoint of the cache; OPT, which rotates nothing, comes to both of keys
         * @param rows {@code [tokens][kvHeads · headDim]}
         */
        double[][] of(int layer, HookPoint hookPoint, double[][] rows);
    }

    ScalarModel(Path folder) throws IOException {
        config = JsonMapper.shared().readTree(Files.readAllBytes(folder.resolve("config.json")));
        llama = config.get("model_type").asString().equals("llama");
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file :
                    files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
                try (Safetensors opened = Safetensors.open(file)) {
                    for (String name : opened.entries().keySet()) {
                        tensors.put(name, opened.floats(name));
                    }
                }
            }
        }
        prefix = llama ? "model." : tensors.containsKey("decoder.embed_tokens.weight") ? "decoder." : "model.decoder.";
    }

    Output forward(int[] tokens) {
        return forward(tokens, (layer, hookPoint, rows) -> rows);
    }

    Output forward(int[] tokens, Cache cache) {
        return llama ? forwardLlama(tokens, cache) : forwardOpt(tokens, cache);
    }

    private Output forwardLlama(int[] tokens, Cache cache) {
        int hiddenSize = integer("hidden_size");
        int heads = integer("num_attention_heads");
        int kvHeads = integer("num_key_value_heads");
        int headDim = config.has("head_dim") ? integer("head_dim") : hiddenSize / heads;
        double[][] stream = rows("model.embed_tokens.weight", tokens, hiddenSize);
        List<double[][]> hidden = new ArrayList<>();
        hidden.add(copy(stream));
        for (int layer = 0; layer < integer("num_hidden_layers"); layer++) {
            String block = "model.layers." + layer + ".";
            double[][] normed = rmsNorm(stream, block + "input_layernorm");
            double[][] queries = linear(normed, block + "self_attn.q_proj");
            double[][] keys = cache.of(layer, HookPoint.KEY, linear(normed, block + "self_attn.k_proj"));
            double[][] values = cache.of(layer, HookPoint.VALUE, linear(normed, block + "self_attn.v_proj"));
            rotate(queries, headDim);
            rotate(keys, headDim);
            keys = cache.of(layer, HookPoint.ROTATED_KEY, keys);
            double[][] mixed = attend(queries, keys, values, heads, kvHeads, headDim);
            add(stream, linear(mixed, block + "self_attn.o_proj"));
            double[][] between = rmsNorm(stream, block + "post_attention_layernorm");
            double[][] gate = linear(between, block + "mlp.gate_proj");
            double[][] up = linear(between, block + "mlp.up_proj");
            for (int t = 0; t < tokens.length; t++) {
                for (int i = 0; i < gate[t].length; i++) {
                    gate[t][i] = gate[t][i] / (1 + Math.exp(-gate[t][i])) * up[t][i];
                }
            }
            add(stream, linear(gate, block + "mlp.down_proj"));
            hidden.add(copy(stream));
        }
        return new Output(hidden, head(rmsNorm(stream, "model.norm"), "model.embed_tokens"));
    }

    private Output forwardOpt(int[] tokens, Cache cache) {
        int hiddenSize = integer("hidden_size");
        int heads = integer("num_attention_heads");
        int narrow = integer("word_embed_proj_dim");
        boolean before = config.get("do_layer_norm_before").asBoolean();
        double[][] stream = rows(prefix + "embed_tokens.weight", tokens, narrow);
        if (narrow != hiddenSize) {
            stream = linear(stream, prefix + "project_in");
        }
        int[] positions = new int[tokens.length];
        for (int t = 0; t < tokens.length; t++) {
            // the table starts with two rows that stand for padding
            positions[t] = t + 2;
        }
        add(stream, rows(prefix + "embed_positions.weight", positions, hiddenSize));
        List<double[][]> hidden = new ArrayList<>();
        hidden.add(copy(stream));
        for (int layer = 0; layer < integer("num_hidden_layers"); layer++) {
            String block = prefix + "layers." + layer + ".";
            double[][] input = before ? layerNorm(stream, block + "self_attn_layer_norm") : stream;
            double[][] keys = cache.of(layer, HookPoint.KEY, linear(input, block + "self_attn.k_proj"));
            double[][] mixed = attend(
                    linear(input, block + "self_attn.q_proj"),
                    cache.of(layer, HookPoint.ROTATED_KEY, keys),
                    cache.of(layer, HookPoint.VALUE, linear(input, block + "self_attn.v_proj")),
                    heads,
                    heads,
                    hiddenSize / heads);
            add(stream, linear(mixed, block + "self_attn.out_proj"));
            stream = before ? stream : layerNorm(stream, block + "self_attn_layer_norm");
            double[][] middle = linear(before ? layerNorm(stream, block + "final_layer_norm") : stream, block + "fc1");
            for (double[] row : middle) {
                for (int i = 0; i < row.length; i++) {
                    row[i] = Math.max(0, row[i]);
                }
            }
            add(stream, linear(middle, block + "fc2"));
            stream = before ? stream : layerNorm(stream, block + "final_layer_norm");
            hidden.add(copy(stream));
        }
        double[][] last = stream;
        if (before && !config.path("_remove_final_layer_norm").asBoolean(false)) {
            last = layerNorm(last, prefix + "final_layer_norm");
        }
        if (narrow != hiddenSize) {
            last = linear(last, prefix + "project_out");
        }
        return new Output(hidden, head(last, prefix + "embed_tokens"));
    }

    private double[][] head(double[][] last, String embedding) {
        return linear(last, config.get("tie_word_embeddings").asBoolean() ? embedding : "lm_head");
    }

    /** Softmax attention of every query over the keys up to its own position; neighbouring query heads share keys. */
    private static double[][] attend(
            double[][] queries, double[][] keys, double[][] values, int heads, int kvHeads, int headDim) {
        double[][] mixed = new double[queries.length][heads * headDim];
        for (int head = 0; head < heads; head++) {
            int shared = head / (heads / kvHeads);
            for (int t = 0; t < queries.length; t++) {
                double[] weights = new double[t + 1];
                double sum = 0;
                for (int s = 0; s <= t; s++) {
                    double score = 0;
                    for (int i = 0; i < headDim; i++) {
                        score += queries[t][head * headDim + i] * keys[s][shared * headDim + i];
                    }
                    weights[s] = Math.exp(score / Math.sqrt(headDim));
                    sum += weights[s];
                }
                for (int s = 0; s <= t; s++) {
                    for (int i = 0; i < headDim; i++) {
                        mixed[t][head * headDim + i] += weights[s] / sum * values[s][shared * headDim + i];
                    }
                }
            }
        }
        return mixed;
    }

    /** Turns the pair {@code (i, i + headDim / 2)} of every head by {@code position · frequency(i)}. */
    private void rotate(double[][] values, int headDim) {
        for (int t = 0; t < values.length; t++) {
            for (int start = 0; start < values[t].length; start += headDim) {
                for (int i = 0; i < headDim / 2; i++) {
                    double angle = t * frequency(i, headDim);
                    double a = values[t][start + i];
                    double b = values[t][start + headDim / 2 + i];
                    values[t][start + i] = a * Math.cos(angle) - b * Math.sin(angle);
                    values[t][start + headDim / 2 + i] = b * Math.cos(angle) + a * Math.sin(angle);
                }
            }
        }
    }

    private double frequency(int pair, int headDim) {
        JsonNode rope = config.has("rope_parameters") ? config.get("rope_parameters") : config.path("rope_scaling");
        double theta = rope.has("rope_theta")
                ? rope.get("rope_theta").asDouble()
                : config.path("rope_theta").asDouble(10000);
        double frequency = Math.pow(theta, -2.0 * pair / headDim);
        String type = rope.has("rope_type")
                ? rope.get("rope_type").asString()
                : rope.path("type").asString("default");
        double factor = rope.path("factor").asDouble(1);
        return switch (type) {
            case "linear" -> frequency / factor;
            case "llama3" -> {
                double low = rope.get("low_freq_factor").asDouble();
                double high = rope.get("high_freq_factor").asDouble();
                double context = rope.get("original_max_position_embeddings").asDouble();
                double wavelength = 2 * Math.PI / frequency;
                double smooth = (context / wavelength - low) / (high - low);
                double share = Math.min(1, Math.max(0, smooth));
                yield (1 - share) * (frequency / factor) + share * frequency;
            }
            default -> frequency;
        };
    }

    private double[][] rmsNorm(double[][] values, String module) {
        float[] weight = tensor(module + ".weight");
        double[][] normed = copy(values);
        for (double[] row : normed) {
            double squares = 0;
            for (double value : row) {
                squares += value * value;
            }
            double scale = 1
                    / Math.sqrt(
                            squares / row.length + config.get("rms_norm_eps").asDouble());
            for (int i = 0; i < row.length; i++) {
                row[i] *= scale * weight[i];
            }
        }
        return normed;
    }

    private double[][] layerNorm(double[][] values, String module) {
        float[] weight = tensor(module + ".weight");
        float[] bias = tensor(module + ".bias");
        double[][] normed = copy(values);
        for (double[] row : normed) {
            double mean = 0;
            for (double value : row) {
                mean += value / row.length;
            }
            double variance = 0;
            for (double value : row) {
                variance += (value - mean) * (value - mean) / row.length;
            }
            for (int i = 0; i < row.length; i++) {
                row[i] = (row[i] - mean) / Math.sqrt(variance + 1e-5) * weight[i] + bias[i];
            }
        }
        return normed;
    }

    private double[][] linear(double[][] inputs, String module) {
        float[] weight = tensor(module + ".weight");
        float @Nullable [] bias = tensors.get(module + ".bias");
        int in = inputs[0].length;
        int out = weight.length / in;
        double[][] outputs = new double[inputs.length][out];
        for (int t = 0; t < inputs.length; t++) {
            for (int row = 0; row < out; row++) {
                double sum = bias == null ? 0 : bias[row];
                for (int i = 0; i < in; i++) {
                    sum += inputs[t][i] * weight[row * in + i];
                }
                outputs[t][row] = sum;
            }
        }
        return outputs;
    }

    private double[][] rows(String name, int[] which, int width) {
        float[] table = tensor(name);
        double[][] rows = new double[which.length][width];
        for (int t = 0; t < which.length; t++) {
            for (int i = 0; i < width; i++) {
                rows[t][i] = table[which[t] * width + i];
            }
        }
        return rows;
    }

    private static void add(double[][] target, double[][] values) {
        for (int t = 0; t < target.length; t++) {
            for (int i = 0; i < target[t].length; i++) {
                target[t][i] += values[t][i];
            }
        }
    }

    private static double[][] copy(double[][] values) {
        double[][] copies = new double[values.length][];
        for (int t = 0; t < values.length; t++) {
            copies[t] = values[t].clone();
        }
        return copies;
    }

    private float[] tensor(String name) {
        return Objects.requireNonNull(tensors.get(name), name);
    }

    private int integer(String key) {
        return config.get(key).asInt();
    }
}
