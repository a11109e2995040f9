package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.ModelConfig.AttentionShape;
import dev.ptq.model.ModelConfig.MlpShape;
import dev.ptq.model.ModelConfig.NormShape;
import dev.ptq.model.ModelConfig.Positions;
import dev.ptq.model.ModelConfig.Vocabulary;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Llama: RMSNorm before attention and MLP, rotary positions, grouped key and value heads, SwiGLU. */
record Llama(ModelConfig config) implements Architecture {
    static final Family FAMILY = new Family("llama", Llama::read, Llama::new);

    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final String FINAL_NORM = "model.norm.weight";

    private static final String INPUT_NORM = "input_layernorm";
    private static final String QUERY = "self_attn.q_proj";
    private static final String KEY = "self_attn.k_proj";
    private static final String VALUE = "self_attn.v_proj";
    private static final String OUTPUT = "self_attn.o_proj";
    private static final String MLP_NORM = "post_attention_layernorm";
    private static final String GATE = "mlp.gate_proj";
    private static final String UP = "mlp.up_proj";
    private static final String DOWN = "mlp.down_proj";

    private static ModelConfig read(ConfigJson json) throws IOException {
        json.expect("hidden_act", "silu");
        int hidden = json.size("hidden_size", null);
        int heads = json.size("num_attention_heads", null);
        return new ModelConfig(
                FAMILY.modelType(),
                hidden,
                json.size("num_hidden_layers", null),
                new Vocabulary(json.size("vocab_size", null), hidden, json.flag("tie_word_embeddings", false)),
                new Positions(json.size("max_position_embeddings", 2048), Optional.of(json.rope())),
                new AttentionShape(
                        heads,
                        json.size("num_key_value_heads", heads),
                        json.size("head_dim", json.divided(hidden, heads)),
                        json.flag("attention_bias", false)),
                new MlpShape(json.size("intermediate_size", null), json.flag("mlp_bias", false)),
                new NormShape(false, json.number("rms_norm_eps", 1e-6), true, true));
    }

    @Override
    public List<LinearSpec> linears(int block) {
        int hidden = config.hiddenSize();
        int queries = config.attention().queryWidth();
        int keys = config.attention().keyWidth();
        int middle = config.mlp().width();
        boolean attentionBias = config.attention().bias();
        boolean mlpBias = config.mlp().bias();
        return List.of(
                linear(block, QUERY, HookPoint.ATTENTION_IN, queries, hidden, attentionBias),
                linear(block, KEY, HookPoint.ATTENTION_IN, keys, hidden, attentionBias),
                linear(block, VALUE, HookPoint.ATTENTION_IN, keys, hidden, attentionBias),
                linear(block, OUTPUT, HookPoint.ATTENTION_OUT, hidden, queries, attentionBias),
                linear(block, GATE, HookPoint.MLP_IN, middle, hidden, mlpBias),
                linear(block, UP, HookPoint.MLP_IN, middle, hidden, mlpBias),
                linear(block, DOWN, HookPoint.MLP_MID, hidden, middle, mlpBias));
    }

    @Override
    public List<SmoothingMapping> mappings() {
        return List.of(
                new SmoothingMapping(SmoothingMapping.Kind.ATTENTION_IN, INPUT_NORM, List.of(QUERY, KEY, VALUE)),
                new SmoothingMapping(SmoothingMapping.Kind.VALUE_OUT, VALUE, List.of(OUTPUT)),
                new SmoothingMapping(SmoothingMapping.Kind.QUERY_KEY, KEY, List.of(QUERY)),
                new SmoothingMapping(SmoothingMapping.Kind.MLP_IN, MLP_NORM, List.of(UP, GATE)),
                new SmoothingMapping(SmoothingMapping.Kind.MLP_MID, UP, List.of(DOWN)));
    }

    @Override
    public String prefix(int block) {
        return "model.layers." + block + ".";
    }

    @Override
    public Map<String, List<Long>> norms() {
        List<Long> shape = Architecture.shape(config.hiddenSize());
        Map<String, List<Long>> norms = new LinkedHashMap<>();
        norms.put(INPUT_NORM + ".weight", shape);
        norms.put(MLP_NORM + ".weight", shape);
        return norms;
    }

    @Override
    public Map<String, List<Long>> outerTensors() {
        List<Long> table = Architecture.shape(config.vocabulary().size(), config.hiddenSize());
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        tensors.put(EMBEDDING, table);
        tensors.put(FINAL_NORM, Architecture.shape(config.hiddenSize()));
        tensors.put(headTensor(), table);
        return tensors;
    }

    @Override
    public List<String> finishingTensors() {
        return List.of(FINAL_NORM);
    }

    @Override
    public String headTensor() {
        return config.vocabulary().tied() ? EMBEDDING : "lm_head.weight";
    }

    @Override
    public NDArray embed(WeightSource weights, NDManager manager, int[][] chunks, int[][] positions)
            throws IOException {
        return weights.weight(EMBEDDING)
                .gather(manager, Architecture.flat(chunks))
                .reshape(chunks.length, chunks[0].length, config.hiddenSize());
    }

    @Override
    public NDArray forward(ForwardPass pass, NDArray hidden) {
        NDArray attended = hidden.add(pass.operators().branch(attention(pass, norm(pass, hidden, INPUT_NORM))));
        NDArray output = mlp(pass, norm(pass, attended, MLP_NORM));
        return pass.operators().add(attended, pass.operators().branch(output));
    }

    private NDArray attention(ForwardPass pass, NDArray input) {
        AttentionShape shape = config.attention();
        SequenceConstants constants = pass.constants();
        List<NDArray> projected = pass.project(HookPoint.ATTENTION_IN, input, QUERY, KEY, VALUE);
        NDArray queries =
                Torch.rotate(Attention.split(projected.get(0), shape.heads()), constants.cos(), constants.sin());
        NDArray keys =
                Torch.rotate(Attention.split(projected.get(1), shape.kvHeads()), constants.cos(), constants.sin());
        NDArray values = Attention.split(projected.get(2), shape.kvHeads());
        NDArray mixed = pass.attention(queries, keys, values, (float) Math.sqrt(shape.headDim()));
        return pass.projectOne(HookPoint.ATTENTION_OUT, mixed, OUTPUT);
    }

    private NDArray mlp(ForwardPass pass, NDArray input) {
        List<NDArray> gateAndUp = pass.project(HookPoint.MLP_IN, input, GATE, UP);
        NDArray gated = Torch.siluTimes(gateAndUp.get(0), gateAndUp.get(1));
        return pass.projectOne(HookPoint.MLP_MID, gated, DOWN);
    }

    @Override
    public NDArray finish(NDArray hidden, Function<String, NDArray> outer) {
        return norm(hidden, outer.apply(FINAL_NORM));
    }

    private NDArray norm(ForwardPass pass, NDArray hidden, String path) {
        NDArray normed = norm(hidden, pass.block().norm(path + ".weight"));
        NDArray shift = pass.block().optionalNorm(path + ".bias");
        return pass.block().behindNorm(path, shift == null ? normed : normed.add(shift));
    }

    private NDArray norm(NDArray hidden, NDArray weight) {
        float epsilon = (float) config.norms().epsilon();
        return Torch.rmsNorm(hidden, weight, NativeFloats.scalar(hidden.getManager(), epsilon));
    }
}
