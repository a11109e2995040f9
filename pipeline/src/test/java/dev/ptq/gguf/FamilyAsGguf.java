package dev.ptq.gguf;

import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A small model folder as a GGUF file of float32 values, as llama.cpp's converter lays it out. */
public final class FamilyAsGguf {
    private static final Map<String, String> ARCHITECTURES = Map.of(
            "llama", "llama",
            "mistral", "llama",
            "mixtral", "llama",
            "qwen2", "qwen2",
            "qwen3", "qwen3",
            "gemma2", "gemma2",
            "gemma3_text", "gemma3",
            "phi3", "phi3");

    private FamilyAsGguf() {}

    /** The file before it is written, without a tokenizer. */
    public static GgufBuilder of(Path folder) throws IOException {
        return of(folder, false);
    }

    /** The same with a tensor for each expert, as files of 2023 have them. */
    public static GgufBuilder withExpertsApart(Path folder) throws IOException {
        return of(folder, true);
    }

    private static GgufBuilder of(Path folder, boolean expertsApart) throws IOException {
        JsonNode config = JsonMapper.shared().readTree(Files.readString(folder.resolve("config.json")));
        String family = config.path("model_type").asString();
        String name = Objects.requireNonNull(ARCHITECTURES.get(family), family);
        GgufBuilder file = new GgufBuilder().with("general.architecture", name);
        int heads = config.path("num_attention_heads").asInt();
        int keys = config.path("num_key_value_heads").asInt();
        int dim = config.path("head_dim").asInt(config.path("hidden_size").asInt() / heads);
        file.with(name + ".block_count", config.path("num_hidden_layers").asInt())
                .with(
                        name + ".context_length",
                        config.path("max_position_embeddings").asInt())
                .with(name + ".embedding_length", config.path("hidden_size").asInt())
                .with(
                        name + ".feed_forward_length",
                        config.path("intermediate_size").asInt())
                .with(name + ".vocab_size", config.path("vocab_size").asInt())
                .with(name + ".attention.head_count", heads)
                .with(name + ".attention.head_count_kv", keys)
                .with(name + ".attention.key_length", dim)
                .with(name + ".attention.value_length", dim)
                .with(name + ".attention.layer_norm_rms_epsilon", (float)
                        config.path("rms_norm_eps").asDouble());
        rope(config, file, name, dim);
        if (name.startsWith("gemma")) {
            file.with(
                    name + ".attention.scale",
                    1 / Math.sqrt(config.path("query_pre_attn_scalar").asDouble()));
            for (String cap : List.of("attn_logit_softcapping", "final_logit_softcapping")) {
                if (config.path(cap).isNumber()) {
                    file.with(name + "." + cap, (float) config.path(cap).asDouble());
                }
            }
            if (name.equals("gemma3")) {
                file.with(
                        name + ".attention.sliding_window_pattern",
                        config.path("_sliding_window_pattern").asInt());
            }
        }
        if (config.path("sliding_window").isNumber()) {
            file.with(
                    name + ".attention.sliding_window",
                    config.path("sliding_window").asInt());
        }
        if (family.equals("mixtral")) {
            file.with(name + ".expert_count", config.path("num_local_experts").asInt())
                    .with(
                            name + ".expert_used_count",
                            config.path("num_experts_per_tok").asInt());
        }
        try (Safetensors tensors = Safetensors.open(folder.resolve("model.safetensors"))) {
            Map<String, Map<Integer, float[]>> experts = new TreeMap<>();
            for (String tensor : tensors.entries().keySet()) {
                float[] values = tensors.floats(tensor);
                long[] shape = tensors.shape(tensor).stream()
                        .mapToLong(Long::longValue)
                        .toArray();
                String own = name(tensor, name);
                if (own.contains(".experts.")) {
                    String[] parts = own.split(":", -1);
                    experts.computeIfAbsent(parts[0] + " " + shape[0] + " " + shape[1], key -> new TreeMap<>())
                            .put(Integer.parseInt(parts[1]), values);
                    continue;
                }
                if (name.startsWith("gemma") && tensor.endsWith("norm.weight")) {
                    for (int i = 0; i < values.length; i++) {
                        values[i] += 1;
                    }
                }
                boolean turned = name.equals("llama") && tensor.matches(".*\\.[qk]_proj\\.(weight|bias)");
                file.tensor(own, turned ? inPairs(values, (int) shape[0], dim) : values, shape);
            }
            experts.forEach((key, all) -> {
                String[] parts = key.split(" ", -1);
                long rows = Long.parseLong(parts[1]);
                long columns = Long.parseLong(parts[2]);
                if (expertsApart) {
                    all.forEach((i, values) -> file.tensor(
                            parts[0].replace(".experts.", "").replace("_exps", "." + i), values, rows, columns));
                    return;
                }
                int size = Objects.requireNonNull(all.get(0)).length;
                float[] joined = new float[all.size() * size];
                all.forEach((i, values) -> System.arraycopy(values, 0, joined, i * size, size));
                file.tensor(parts[0].replace(".experts.", ""), joined, all.size(), rows, columns);
            });
        }
        return file;
    }

    private static void rope(JsonNode config, GgufBuilder file, String name, int dim) {
        JsonNode rope = config.path("rope_parameters");
        if (rope.has("full_attention")) {
            file.with(name + ".rope.freq_base_swa", (float)
                    rope.path("sliding_attention").path("rope_theta").asDouble());
            rope = rope.path("full_attention");
        }
        float theta = (float)
                rope.path("rope_theta").asDouble(config.path("rope_theta").asDouble(10_000));
        file.with(name + ".rope.freq_base", theta);
        String type = rope.path("rope_type").asString();
        if (type.equals("linear") || type.equals("yarn")) {
            file.with(name + ".rope.scaling.type", type).with(name + ".rope.scaling.factor", (float)
                    rope.path("factor").asDouble());
        }
        if (type.equals("yarn")) {
            file.with(
                    name + ".rope.scaling.original_context_length",
                    rope.path("original_max_position_embeddings").asInt());
            if (rope.has("beta_fast")) {
                file.with(name + ".rope.scaling.yarn_beta_fast", (float)
                        rope.path("beta_fast").asDouble());
                file.with(name + ".rope.scaling.yarn_beta_slow", (float)
                        rope.path("beta_slow").asDouble());
            }
        }
        if (type.equals("llama3")) {
            float[] factors = new float[dim / 2];
            for (int i = 0; i < factors.length; i++) {
                double wavelength = 2 * Math.PI * Math.pow(theta, 2.0 * i / dim);
                double factor = rope.path("factor").asDouble();
                double low = rope.path("low_freq_factor").asDouble();
                double high = rope.path("high_freq_factor").asDouble();
                double turns = rope.path("original_max_position_embeddings").asDouble() / wavelength;
                double smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
                factors[i] = (float) (1 / ((1 - smooth) / factor + smooth));
            }
            file.tensor("rope_freqs.weight", factors, factors.length);
        }
        if (type.equals("longrope")) {
            file.with(
                    name + ".rope.scaling.original_context_length",
                    rope.path("original_max_position_embeddings").asInt());
            for (String length : List.of("long", "short")) {
                JsonNode factors = rope.path(length + "_factor");
                float[] values = new float[factors.size()];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) factors.path(i).asDouble();
                }
                file.tensor("rope_factors_" + length + ".weight", values, values.length);
            }
        }
    }

    /** Rows of both halves of every head in turn. */
    private static float[] inPairs(float[] values, int rows, int dim) {
        int width = values.length / rows;
        float[] turned = new float[values.length];
        int target = 0;
        for (int head = 0; head < rows / dim; head++) {
            for (int pair = 0; pair < dim / 2; pair++) {
                for (int half : IntStream.range(0, 2).toArray()) {
                    int source = head * dim + half * dim / 2 + pair;
                    System.arraycopy(values, source * width, turned, target++ * width, width);
                }
            }
        }
        return turned;
    }

    private static String name(String tensor, String architecture) {
        String name = tensor.replace("model.embed_tokens", "token_embd")
                .replace("model.norm", "output_norm")
                .replace("lm_head", "output")
                .replaceFirst("^model\\.layers\\.", "blk.")
                .replace("input_layernorm", "attn_norm")
                .replaceFirst("self_attn\\.([qkv])_proj", "attn_$1")
                .replaceFirst("self_attn\\.([qk])_norm", "attn_$1_norm")
                .replace("self_attn.qkv_proj", "attn_qkv")
                .replace("self_attn.o_proj", "attn_output")
                .replace("mlp.gate_up_proj", "ffn_up")
                .replaceFirst("mlp\\.(gate|up|down)_proj", "ffn_$1")
                .replaceFirst("(block_sparse_moe|mlp)\\.gate\\.", "ffn_gate_inp.")
                .replaceFirst(
                        "(blk\\.\\d+)\\.block_sparse_moe\\.experts\\.(\\d+)\\.w1(.*)", "$1.ffn_gate_exps$3.experts.:$2")
                .replaceFirst(
                        "(blk\\.\\d+)\\.block_sparse_moe\\.experts\\.(\\d+)\\.w3(.*)", "$1.ffn_up_exps$3.experts.:$2")
                .replaceFirst(
                        "(blk\\.\\d+)\\.block_sparse_moe\\.experts\\.(\\d+)\\.w2(.*)",
                        "$1.ffn_down_exps$3.experts.:$2");
        return architecture.startsWith("gemma")
                ? name.replace("post_attention_layernorm", "post_attention_norm")
                        .replace("pre_feedforward_layernorm", "ffn_norm")
                        .replace("post_feedforward_layernorm", "post_ffw_norm")
                : name.replace("post_attention_layernorm", "ffn_norm");
    }
}
