package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Activation;
import dev.ptq.model.ModelConfig.AttentionShape;
import dev.ptq.model.ModelConfig.MlpShape;
import dev.ptq.model.ModelConfig.NormShape;
import dev.ptq.model.ModelConfig.Positions;
import dev.ptq.model.ModelConfig.Vocabulary;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.DerivedWeights;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * OPT: learned positions with an offset of 2, ReLU, LayerNorm before attention and MLP (after them in the 350m model),
 * and an embedding that may be narrower than the residual stream.
 */
record Opt(ModelConfig config) implements Architecture {
    static final Family FAMILY = new Family("opt", Opt::read, Opt::new);

    private static final int POSITION_OFFSET = 2;

    private static final String DECODER = "model.decoder.";
    private static final String EMBEDDING = DECODER + "embed_tokens.weight";
    private static final String POSITIONS = DECODER + "embed_positions.weight";
    private static final String FINAL_NORM = DECODER + "final_layer_norm";
    private static final String PROJECT_IN = DECODER + "project_in.weight";
    private static final String PROJECT_OUT = DECODER + "project_out.weight";

    private static final String ATTENTION_NORM = "self_attn_layer_norm";
    private static final String QUERY = "self_attn.q_proj";
    private static final String KEY = "self_attn.k_proj";
    private static final String VALUE = "self_attn.v_proj";
    private static final String OUTPUT = "self_attn.out_proj";
    private static final String MLP_NORM = "final_layer_norm";
    private static final String FIRST = "fc1";
    private static final String SECOND = "fc2";

    private static ModelConfig read(ConfigJson json) throws IOException {
        json.expect("activation_function", "relu");
        int hidden = json.size("hidden_size", null);
        int heads = json.size("num_attention_heads", null);
        boolean normFirst = json.flag("do_layer_norm_before", true);
        boolean bias = json.flag("enable_bias", true);
        if (!json.flag("layer_norm_elementwise_affine", true)) {
            throw json.wrong("layer_norm_elementwise_affine", "expected true, got false");
        }
        return new ModelConfig(
                FAMILY.modelType(),
                hidden,
                json.size("num_hidden_layers", null),
                new Vocabulary(
                        json.size("vocab_size", null),
                        json.size("word_embed_proj_dim", hidden),
                        json.flag("tie_word_embeddings", true)),
                new Positions(json.size("max_position_embeddings", 2048), Optional.empty()),
                new AttentionShape(heads, heads, json.divided(hidden, heads), bias),
                new MlpShape(json.size("ffn_dim", null), bias),
                new NormShape(true, 1e-5, normFirst, normFirst && !json.flag("_remove_final_layer_norm", false)));
    }

    /** The first releases lack the outer "model." in all names but the head's. */
    @Override
    public WeightSource weights(WeightSource checkpoint) throws IOException {
        if (!checkpoint.names().contains("decoder.embed_tokens.weight")) {
            return checkpoint;
        }
        Map<String, Weight> renamed = new LinkedHashMap<>();
        for (String name : checkpoint.names()) {
            renamed.put(name.startsWith("decoder.") ? "model." + name : name, checkpoint.weight(name));
        }
        return new DerivedWeights(checkpoint, renamed);
    }

    @Override
    public List<LinearSpec> linears(int block) {
        int hidden = config.hiddenSize();
        int middle = config.mlp().width();
        boolean bias = config.attention().bias();
        return List.of(
                linear(block, QUERY, HookPoint.ATTENTION_IN, hidden, hidden, bias),
                linear(block, KEY, HookPoint.ATTENTION_IN, hidden, hidden, bias),
                linear(block, VALUE, HookPoint.ATTENTION_IN, hidden, hidden, bias),
                linear(block, OUTPUT, HookPoint.ATTENTION_OUT, hidden, hidden, bias),
                linear(
                        block,
                        FIRST,
                        HookPoint.MLP_IN,
                        middle,
                        hidden,
                        config.mlp().bias()),
                linear(
                        block,
                        SECOND,
                        HookPoint.MLP_MID,
                        hidden,
                        middle,
                        config.mlp().bias()));
    }

    @Override
    public List<SmoothingMapping> mappings() {
        List<SmoothingMapping> mappings = new ArrayList<>();
        // a norm after the sum feeds the residual stream too
        boolean normFirst = config.norms().first();
        if (normFirst) {
            mappings.add(new SmoothingMapping(
                    SmoothingMapping.Kind.ATTENTION_IN, ATTENTION_NORM, List.of(QUERY, KEY, VALUE)));
        }
        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.VALUE_OUT, VALUE, List.of(OUTPUT)));
        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.QUERY_KEY, KEY, List.of(QUERY)));
        if (normFirst) {
            mappings.add(new SmoothingMapping(SmoothingMapping.Kind.MLP_IN, MLP_NORM, List.of(FIRST)));
        }
        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.MLP_MID, FIRST, List.of(SECOND)));
        return mappings;
    }

    @Override
    public String prefix(int block) {
        return DECODER + "layers." + block + ".";
    }

    @Override
    public Map<String, List<Long>> norms() {
        Map<String, List<Long>> norms = new LinkedHashMap<>();
        for (String norm : List.of(ATTENTION_NORM, MLP_NORM)) {
            norms.put(norm + ".weight", Architecture.shape(config.hiddenSize()));
            norms.put(norm + ".bias", Architecture.shape(config.hiddenSize()));
        }
        return norms;
    }

    @Override
    public Map<String, List<Long>> outerTensors() {
        int hidden = config.hiddenSize();
        int narrow = config.vocabulary().width();
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        tensors.put(EMBEDDING, Architecture.shape(config.vocabulary().size(), narrow));
        tensors.put(POSITIONS, Architecture.shape(config.positions().count() + POSITION_OFFSET, hidden));
        if (config.norms().last()) {
            tensors.put(FINAL_NORM + ".weight", Architecture.shape(hidden));
            tensors.put(FINAL_NORM + ".bias", Architecture.shape(hidden));
        }
        if (narrow != hidden) {
            tensors.put(PROJECT_IN, Architecture.shape(hidden, narrow));
            tensors.put(PROJECT_OUT, Architecture.shape(narrow, hidden));
        }
        tensors.put(headTensor(), Architecture.shape(config.vocabulary().size(), narrow));
        return tensors;
    }

    @Override
    public List<String> finishingTensors() {
        List<String> tensors = new ArrayList<>();
        if (config.norms().last()) {
            tensors.addAll(List.of(FINAL_NORM + ".weight", FINAL_NORM + ".bias"));
        }
        if (isNarrow()) {
            tensors.add(PROJECT_OUT);
        }
        return tensors;
    }

    @Override
    public String headTensor() {
        return config.vocabulary().tied() ? EMBEDDING : "lm_head.weight";
    }

    private boolean isNarrow() {
        return config.vocabulary().width() != config.hiddenSize();
    }

    @Override
    public NDArray embed(WeightSource weights, NDManager manager, int[][] chunks, int[][] positions)
            throws IOException {
        int tokens = chunks[0].length;
        int[] rows = Arrays.stream(Architecture.flat(positions))
                .map(position -> position + POSITION_OFFSET)
                .toArray();
        NDArray embedded = weights.weight(EMBEDDING)
                .gather(manager, Architecture.flat(chunks))
                .reshape(chunks.length, tokens, config.vocabulary().width());
        if (isNarrow()) {
            embedded = Torch.linear(embedded, weights.load(manager, PROJECT_IN));
        }
        return embedded.add(
                weights.weight(POSITIONS).gather(manager, rows).reshape(chunks.length, tokens, config.hiddenSize()));
    }

    @Override
    public NDArray forward(ForwardPass pass, NDArray hidden) {
        Operators operators = pass.operators();
        boolean normFirst = config.norms().first();
        NDArray attentionIn = normFirst ? norm(pass, hidden, ATTENTION_NORM) : operators.own(hidden);
        NDArray attended = hidden.add(attention(pass, attentionIn));
        if (!normFirst) {
            attended = norm(pass, attended, ATTENTION_NORM);
        }
        NDArray mlpIn = normFirst ? norm(pass, attended, MLP_NORM) : operators.own(attended);
        NDArray output = attended.add(mlp(pass, mlpIn));
        return normFirst ? output : norm(pass, output, MLP_NORM);
    }

    /** Scales the query before it is rounded, where llama scales the scores. */
    private NDArray attention(ForwardPass pass, NDArray input) {
        AttentionShape shape = config.attention();
        List<NDArray> projected = pass.project(HookPoint.ATTENTION_IN, input, QUERY, KEY, VALUE);
        NDArray query = pass.operators().scale(projected.get(0), (float) (1 / Math.sqrt(shape.headDim())));
        NDArray mixed = pass.attention(
                Attention.split(query, shape.heads()),
                Attention.split(projected.get(1), shape.heads()),
                Attention.split(projected.get(2), shape.heads()),
                1);
        return pass.projectOne(HookPoint.ATTENTION_OUT, mixed, OUTPUT);
    }

    private static NDArray mlp(ForwardPass pass, NDArray input) {
        NDArray middle = Activation.relu(pass.projectOne(HookPoint.MLP_IN, input, FIRST));
        return pass.projectOne(HookPoint.MLP_MID, middle, SECOND);
    }

    @Override
    public NDArray finish(NDArray hidden, Function<String, NDArray> outer) {
        NDArray finished = hidden;
        if (config.norms().last()) {
            finished =
                    Torch.layerNorm(finished, outer.apply(FINAL_NORM + ".weight"), outer.apply(FINAL_NORM + ".bias"));
        }
        return isNarrow() ? Torch.linear(finished, outer.apply(PROJECT_OUT)) : finished;
    }

    private static NDArray norm(ForwardPass pass, NDArray values, String path) {
        Block block = pass.block();
        return block.behindNorm(
                path, Torch.layerNorm(values, block.norm(path + ".weight"), block.norm(path + ".bias")));
    }
}
