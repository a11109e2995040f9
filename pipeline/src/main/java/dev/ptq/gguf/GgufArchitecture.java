package dev.ptq.gguf;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The architectures that are read: the config that a file's keys amount to, and the places of its tensors. */
enum GgufArchitecture {
    /** Also Mistral, which has a window, and Mixtral, which has experts. */
    LLAMA("llama", true, false) {
        @Override
        void add(Keys keys, Map<String, Object> config) throws IOException {
            boolean hasExperts = keys.hasExperts();
            boolean hasWindow = keys.has("attention.sliding_window");
            config.put("model_type", hasExperts ? "mixtral" : hasWindow ? "mistral" : "llama");
            config.put("attention_bias", keys.hasTensor("blk.0.attn_q.bias"));
            config.put("mlp_bias", keys.hasTensor("blk.0.ffn_gate.bias"));
            if (hasWindow) {
                config.put("sliding_window", keys.size("attention.sliding_window"));
            }
            if (hasExperts) {
                config.put("num_local_experts", keys.size("expert_count"));
                config.put("num_experts_per_tok", keys.size("expert_used_count"));
            }
            if ((hasExperts || hasWindow) && keys.hasTensor("blk.0.attn_q.bias")) {
                throw keys.wrong("architecture", "biases of attention beside experts or a window, which no family has");
            }
        }
    },
    QWEN2("qwen2", false, false) {
        @Override
        void add(Keys keys, Map<String, Object> config) throws IOException {
            config.put("model_type", "qwen2");
        }
    },
    QWEN3("qwen3", false, false) {
        @Override
        void add(Keys keys, Map<String, Object> config) throws IOException {
            config.put("model_type", "qwen3");
            config.put("attention_bias", keys.hasTensor("blk.0.attn_q.bias"));
        }
    },
    GEMMA2("gemma2", false, true) {
        @Override
        void add(Keys keys, Map<String, Object> config) throws IOException {
            config.put("model_type", "gemma2");
            addGemma(keys, config, 46);
            addSoftcap(keys, config, "attn_logit_softcapping");
            addSoftcap(keys, config, "final_logit_softcapping");
        }
    },
    GEMMA3("gemma3", false, true) {
        @Override
        void add(Keys keys, Map<String, Object> config) throws IOException {
            config.put("model_type", "gemma3_text");
            addGemma(keys, config, 62);
            addSoftcap(keys, config, "final_logit_softcapping");
            config.put(
                    "rope_local_base_freq",
                    keys.optionalNumber("rope.freq_base_swa").orElse(10_000));
            if (keys.has("attention.sliding_window_pattern")) {
                config.put("sliding_window_pattern", keys.size("attention.sliding_window_pattern"));
            }
        }
    },
    PHI3("phi3", false, false) {
        @Override
        void add(Keys keys, Map<String, Object> config) throws IOException {
            config.put("model_type", "phi3");
            if (keys.has("attention.sliding_window")) {
                // files of models without a window have 0 here
                int window = (int) keys.whole("attention.sliding_window");
                config.put("sliding_window", window == 0 ? null : window);
            }
        }
    };

    private static final String MODEL = "model.";
    private static final String LAYERS = "model.layers.";
    private static final Pattern BLOCK = Pattern.compile("blk\\.(0|[1-9]\\d{0,4})\\.(.+)\\.(weight|bias)");
    private static final String FREQUENCIES = "rope_freqs.weight";
    private static final String LONG = "rope_factors_long.weight";
    private static final String SHORT = "rope_factors_short.weight";
    /** These belong to the config. */
    private static final Set<String> FACTORS = Set.of(FREQUENCIES, LONG, SHORT);

    private static final Map<String, String> OUTER = Map.of(
            "token_embd.weight", "model.embed_tokens.weight",
            "output_norm.weight", "model.norm.weight",
            "output.weight", "lm_head.weight",
            "output.bias", "lm_head.bias");

    /** Parts of a block. */
    private static final Map<String, String> INNER = Map.ofEntries(
            Map.entry("attn_norm", "input_layernorm"),
            Map.entry("attn_q", "self_attn.q_proj"),
            Map.entry("attn_k", "self_attn.k_proj"),
            Map.entry("attn_v", "self_attn.v_proj"),
            Map.entry("attn_qkv", "self_attn.qkv_proj"),
            Map.entry("attn_output", "self_attn.o_proj"),
            Map.entry("attn_q_norm", "self_attn.q_norm"),
            Map.entry("attn_k_norm", "self_attn.k_norm"),
            Map.entry("ffn_norm", "post_attention_layernorm"),
            Map.entry("ffn_gate", "mlp.gate_proj"),
            Map.entry("ffn_up", "mlp.up_proj"),
            Map.entry("ffn_down", "mlp.down_proj"),
            Map.entry("ffn_gate_inp", "block_sparse_moe.gate"));

    /** Parts of a block with norms on both sides, where they are other ones. */
    private static final Map<String, String> SANDWICH = Map.of(
            "post_attention_norm", "post_attention_layernorm",
            "ffn_norm", "pre_feedforward_layernorm",
            "post_ffw_norm", "post_feedforward_layernorm");

    /** The matrices of an expert. */
    private static final Map<String, String> EXPERT = Map.of("ffn_gate", "w1", "ffn_up", "w3", "ffn_down", "w2");

    private static final Pattern ONE_EXPERT = Pattern.compile("(ffn_gate|ffn_up|ffn_down)\\.(0|[1-9]\\d{0,4})");
    private static final Pattern ALL_EXPERTS = Pattern.compile("(ffn_gate|ffn_up|ffn_down)_exps");

    /** Keys that say what tensors show, or nothing about the computation. */
    private static final Set<String> HARMLESS = Set.of(
            "attention.value_length",
            "expert_feed_forward_length",
            "rope.scaling.finetuned",
            "tensor_data_layout",
            "use_parallel_residual");

    private static final Set<String> READ = Set.of(
            "block_count",
            "context_length",
            "embedding_length",
            "feed_forward_length",
            "vocab_size",
            "attention.head_count",
            "attention.head_count_kv",
            "attention.key_length",
            "attention.layer_norm_rms_epsilon",
            "rope.dimension_count",
            "rope.freq_base",
            "rope.scale_linear",
            "rope.scaling.type",
            "rope.scaling.factor",
            "rope.scaling.original_context_length",
            "rope.scaling.attn_factor",
            "rope.scaling.yarn_beta_fast",
            "rope.scaling.yarn_beta_slow");

    /** Keys that not all architectures have, by its name. */
    private static final Map<String, Set<String>> OWN = Map.of(
            "llama", Set.of("attention.sliding_window", "expert_count", "expert_used_count"),
            "gemma2",
                    Set.of(
                            "attention.scale",
                            "attention.sliding_window",
                            "attn_logit_softcapping",
                            "final_logit_softcapping"),
            "gemma3",
                    Set.of(
                            "attention.scale",
                            "attention.sliding_window",
                            "attention.sliding_window_pattern",
                            "final_logit_softcapping",
                            "rope.freq_base_swa"),
            "phi3", Set.of("attention.sliding_window"));

    private final String label;
    /** Whether rows of queries and keys lie in pairs. */
    private final boolean inPairs;
    /** Whether there are norms on both sides of a branch, whose weights are stored as they count. */
    private final boolean isGemma;

    GgufArchitecture(String label, boolean inPairs, boolean isGemma) {
        this.label = label;
        this.inPairs = inPairs;
        this.isGemma = isGemma;
    }

    static Optional<GgufArchitecture> named(String name) {
        return Arrays.stream(values()).filter(each -> each.label.equals(name)).findFirst();
    }

    static List<String> names() {
        return Arrays.stream(values()).map(each -> each.label).toList();
    }

    /** Adds the keys that only this architecture has. */
    abstract void add(Keys keys, Map<String, Object> config) throws IOException;

    Map<String, Object> config(Gguf gguf) throws IOException {
        Keys keys = new Keys(this, gguf);
        keys.refuseUnknown();
        int heads = keys.sizeOfAll("attention.head_count");
        int hidden = keys.size("embedding_length");
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("hidden_size", hidden);
        config.put("num_hidden_layers", keys.size("block_count"));
        config.put("vocab_size", vocabulary(keys));
        config.put("max_position_embeddings", keys.size("context_length"));
        config.put("intermediate_size", keys.sizeOfAll("feed_forward_length"));
        config.put("num_attention_heads", heads);
        config.put(
                "num_key_value_heads",
                keys.has("attention.head_count_kv") ? keys.sizeOfAll("attention.head_count_kv") : heads);
        config.put("head_dim", keys.headDim());
        config.put("rms_norm_eps", keys.number("attention.layer_norm_rms_epsilon"));
        config.put("tie_word_embeddings", !keys.hasTensor("output.weight"));
        addRope(keys, config);
        add(keys, config);
        return config;
    }

    /** The number of tokens as the embedding has it; a key that says otherwise is an error. */
    private static int vocabulary(Keys keys) throws IOException {
        GgufTensor embedding = keys.gguf()
                .tensor("token_embd.weight")
                .orElseThrow(() -> new IOException(keys.gguf().file() + ": no tensor token_embd.weight"));
        long tokens = embedding.shape().get(0);
        if (embedding.shape().size() != 2 || tokens > Integer.MAX_VALUE) {
            throw new IOException(embedding.origin() + ": expected a matrix, a row for each token, its shape is "
                    + embedding.shape());
        }
        if (keys.has("vocab_size") && keys.size("vocab_size") != tokens) {
            throw keys.wrong("vocab_size", "says " + keys.size("vocab_size") + ", token_embd.weight has " + tokens);
        }
        int listed = keys.gguf().metadata().length("tokenizer.ggml.tokens").orElse((int) tokens);
        if (listed != tokens) {
            throw keys.gguf()
                    .metadata()
                    .wrong("tokenizer.ggml.tokens", "has " + listed + ", token_embd.weight has " + tokens + " rows");
        }
        return (int) tokens;
    }

    private static void addRope(Keys keys, Map<String, Object> config) throws IOException {
        config.put("rope_theta", keys.optionalNumber("rope.freq_base").orElse(10_000));
        int dim = keys.headDim();
        int rotated = keys.has("rope.dimension_count") ? keys.size("rope.dimension_count") : dim;
        if (rotated != dim) {
            // families multiply and cut off: half a channel more keeps the whole number
            config.put("partial_rotary_factor", (rotated + 0.5) / dim);
        }
        String type = keys.optionalText("rope.scaling.type").orElse("none");
        Optional<GgufTensor> frequencies = keys.gguf().tensor(FREQUENCIES);
        Optional<GgufTensor> longer = keys.gguf().tensor(LONG);
        Map<String, Object> scaling = new LinkedHashMap<>();
        if (longer.isPresent()) {
            scaling.put("rope_type", "longrope");
            scaling.put("long_factor", factors(longer.get(), rotated));
            GgufTensor shorter = keys.gguf()
                    .tensor(SHORT)
                    .orElseThrow(() -> new IOException(longer.get().origin() + ": is there without " + SHORT));
            scaling.put("short_factor", factors(shorter, rotated));
            scaling.put("original_max_position_embeddings", keys.size("rope.scaling.original_context_length"));
            if (keys.has("rope.scaling.attn_factor")) {
                scaling.put("attention_factor", keys.number("rope.scaling.attn_factor"));
            }
        } else if (frequencies.isPresent()) {
            if (!type.equals("none")) {
                throw keys.wrong("rope.scaling.type", "expected none beside " + FREQUENCIES + ", got \"" + type + "\"");
            }
            // divisors of the frequencies, the same at every length
            scaling.put("rope_type", "longrope");
            scaling.put("long_factor", factors(frequencies.get(), rotated));
            scaling.put("short_factor", scaling.get("long_factor"));
            scaling.put("attention_factor", 1.0);
        } else if (type.equals("linear") || (type.equals("none") && keys.has("rope.scale_linear"))) {
            scaling.put("rope_type", "linear");
            scaling.put("factor", keys.number(type.equals("none") ? "rope.scale_linear" : "rope.scaling.factor"));
        } else if (type.equals("yarn")) {
            scaling.put("rope_type", "yarn");
            scaling.put("factor", keys.number("rope.scaling.factor"));
            scaling.put("original_max_position_embeddings", keys.size("rope.scaling.original_context_length"));
            keys.optionalNumber("rope.scaling.yarn_beta_fast").ifPresent(beta -> scaling.put("beta_fast", beta));
            keys.optionalNumber("rope.scaling.yarn_beta_slow").ifPresent(beta -> scaling.put("beta_slow", beta));
            if (keys.has("rope.scaling.attn_factor")) {
                throw keys.wrong("rope.scaling.attn_factor", "is not read for yarn");
            }
        } else if (!type.equals("none")) {
            throw keys.wrong(
                    "rope.scaling.type",
                    "expected none, linear, yarn, or longrope with " + LONG + ", got \"" + type + "\"");
        }
        if (!scaling.isEmpty()) {
            config.put("rope_scaling", scaling);
        }
    }

    private static List<Double> factors(GgufTensor tensor, int rotated) throws IOException {
        if (tensor.shape().size() != 1 || tensor.size() != rotated / 2) {
            throw new IOException(tensor.origin() + ": expected " + rotated / 2
                    + " values, one for each rotated pair, its shape is " + tensor.shape());
        }
        List<Double> factors = new ArrayList<>();
        for (float factor : tensor.smallFloats()) {
            factors.add((double) factor);
        }
        return factors;
    }

    /**
     * Adds what Gemma's files leave to the program.
     *
     * @param largest blocks of the largest model, whose scores are scaled by the width of the stream
     */
    private static void addGemma(Keys keys, Map<String, Object> config, int largest) throws IOException {
        int heads = keys.sizeOfAll("attention.head_count");
        boolean isLargest = keys.size("block_count") == largest;
        double scalar = isLargest ? (double) keys.size("embedding_length") / heads : keys.headDim();
        OptionalDouble scale = keys.optionalNumber("attention.scale");
        config.put(
                "query_pre_attn_scalar", scale.isPresent() ? 1 / (scale.getAsDouble() * scale.getAsDouble()) : scalar);
        config.put("sliding_window", keys.size("attention.sliding_window"));
    }

    /** Adds a bound; 0 is none, which a config says by null. */
    private static void addSoftcap(Keys keys, Map<String, Object> config, String key) throws IOException {
        OptionalDouble bound = keys.optionalNumber(key);
        if (bound.isPresent()) {
            config.put(key, bound.getAsDouble() == 0 ? null : bound.getAsDouble());
        }
    }

    Map<String, GgufPlace> places(Gguf gguf) throws IOException {
        Keys keys = new Keys(this, gguf);
        Map<String, GgufPlace> places = new LinkedHashMap<>();
        for (GgufTensor tensor : gguf.tensors().values()) {
            if (!FACTORS.contains(tensor.name())) {
                add(keys, tensor, places);
            }
        }
        return places;
    }

    private void add(Keys keys, GgufTensor tensor, Map<String, GgufPlace> places) throws IOException {
        Matcher block = BLOCK.matcher(tensor.name());
        if (!block.matches()) {
            put(tensor, OUTER.getOrDefault(tensor.name(), tensor.name()), GgufPlace.of(tensor), places);
            return;
        }
        String prefix = LAYERS + block.group(1) + ".";
        String part = block.group(2);
        String kind = "." + block.group(3);
        Matcher expert = ONE_EXPERT.matcher(part);
        if (expert.matches()) {
            put(tensor, prefix + expert(expert.group(1), expert.group(2)) + kind, GgufPlace.of(tensor), places);
            return;
        }
        Matcher experts = ALL_EXPERTS.matcher(part);
        if (experts.matches()) {
            List<Long> shape = tensor.shape();
            if (shape.size() != 3) {
                throw new IOException(
                        tensor.origin() + ": expected the matrices of all experts, its shape is " + shape);
            }
            for (long i = 0; i < shape.get(0); i++) {
                put(
                        tensor,
                        prefix + expert(experts.group(1), Long.toString(i)) + kind,
                        new GgufPlace(tensor, shape.subList(1, 3), i * shape.get(1), 0, false),
                        places);
            }
            return;
        }
        put(tensor, name(prefix, part, kind, tensor), adapted(keys, part, tensor), places);
    }

    private String name(String prefix, String part, String kind, GgufTensor tensor) {
        String fused = this == PHI3 && part.equals("ffn_up") ? "mlp.gate_up_proj" : null;
        String inner =
                fused != null ? fused : isGemma && SANDWICH.containsKey(part) ? SANDWICH.get(part) : INNER.get(part);
        return inner == null ? tensor.name() : prefix + inner + kind;
    }

    private GgufPlace adapted(Keys keys, String part, GgufTensor tensor) throws IOException {
        GgufPlace place = GgufPlace.of(tensor);
        if (inPairs && (part.equals("attn_q") || part.equals("attn_k"))) {
            int dim = keys.headDim();
            if (dim % 2 != 0 || tensor.shape().get(0) % dim != 0) {
                throw new IOException(tensor.origin() + ": expected rows for whole heads of " + dim + ", its shape is "
                        + tensor.shape());
            }
            return place.withPairs(dim);
        }
        return isGemma && part.endsWith("_norm") ? place.lessOne() : place;
    }

    private static String expert(String part, String index) {
        return "block_sparse_moe.experts." + index + "." + EXPERT.get(part);
    }

    private void put(GgufTensor tensor, String name, GgufPlace place, Map<String, GgufPlace> places)
            throws IOException {
        GgufPlace own = isGemma && name.equals(MODEL + "norm.weight") ? place.lessOne() : place;
        if (places.put(name, own) != null) {
            throw new IOException(tensor.origin() + ": is " + name + " of the model, which another tensor is too");
        }
    }

    /** The keys of a file's architecture, without its prefix. */
    record Keys(GgufArchitecture architecture, Gguf gguf) {
        private String full(String key) {
            return architecture.label + "." + key;
        }

        void refuseUnknown() throws IOException {
            for (String key : gguf.metadata().keys()) {
                if (key.startsWith(full(""))) {
                    String name = key.substring(full("").length());
                    if (!READ.contains(name)
                            && !HARMLESS.contains(name)
                            && !OWN.getOrDefault(architecture.label, Set.of()).contains(name)) {
                        throw gguf.metadata()
                                .wrong(
                                        key,
                                        "is not known here, and might change what the model computes; it is an error");
                    }
                }
            }
        }

        boolean has(String key) {
            return gguf.metadata().has(full(key));
        }

        boolean hasTensor(String name) {
            return gguf.tensor(name).isPresent();
        }

        boolean hasExperts() throws IOException {
            return gguf.metadata().optionalWhole(full("expert_count")).orElse(0) > 0;
        }

        int headDim() throws IOException {
            if (has("attention.key_length")) {
                return size("attention.key_length");
            }
            int heads = sizeOfAll("attention.head_count");
            int hidden = size("embedding_length");
            if (hidden % heads != 0) {
                throw wrong(
                        "attention.head_count", "expected a divisor of embedding_length " + hidden + ", got " + heads);
            }
            return hidden / heads;
        }

        int size(String key) throws IOException {
            return gguf.metadata().size(full(key));
        }

        int sizeOfAll(String key) throws IOException {
            return gguf.metadata().sizeOfAll(full(key));
        }

        long whole(String key) throws IOException {
            return gguf.metadata().optionalWhole(full(key)).orElse(0);
        }

        double number(String key) throws IOException {
            return gguf.metadata().number(full(key));
        }

        OptionalDouble optionalNumber(String key) throws IOException {
            return gguf.metadata().optionalNumber(full(key));
        }

        Optional<String> optionalText(String key) throws IOException {
            return gguf.metadata().optionalText(full(key));
        }

        IOException wrong(String key, String what) {
            return gguf.metadata().wrong(full(key), what);
        }
    }
}
