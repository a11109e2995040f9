package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.Checkpoint;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Llama: RMSNorm before attention and MLP, rotary positions, grouped key and value heads, SwiGLU. */
record Llama(ModelConfig config) implements Architecture {
    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final String FINAL_NORM = "model.norm.weight";

    @Override
    public List<LinearSpec> linears(int block) {
        String attention = prefix(block) + "self_attn.";
        String mlp = prefix(block) + "mlp.";
        int hidden = config.hiddenSize();
        int queries = config.heads() * config.headDim();
        int keys = config.kvHeads() * config.headDim();
        int middle = config.intermediateSize();
        boolean attentionBias = config.attentionBias();
        boolean mlpBias = config.mlpBias();
        return List.of(
                new LinearSpec(block, attention + "q_proj", HookPoint.ATTENTION_IN, queries, hidden, attentionBias),
                new LinearSpec(block, attention + "k_proj", HookPoint.ATTENTION_IN, keys, hidden, attentionBias),
                new LinearSpec(block, attention + "v_proj", HookPoint.ATTENTION_IN, keys, hidden, attentionBias),
                new LinearSpec(block, attention + "o_proj", HookPoint.ATTENTION_OUT, hidden, queries, attentionBias),
                new LinearSpec(block, mlp + "gate_proj", HookPoint.MLP_IN, middle, hidden, mlpBias),
                new LinearSpec(block, mlp + "up_proj", HookPoint.MLP_IN, middle, hidden, mlpBias),
                new LinearSpec(block, mlp + "down_proj", HookPoint.MLP_MID, hidden, middle, mlpBias));
    }

    @Override
    public List<SmoothingMapping> mappings() {
        return List.of(
                new SmoothingMapping(
                        SmoothingMapping.Kind.ATTENTION_IN, "input_layernorm", List.of("q_proj", "k_proj", "v_proj")),
                new SmoothingMapping(SmoothingMapping.Kind.VALUE_OUT, "v_proj", List.of("o_proj")),
                new SmoothingMapping(SmoothingMapping.Kind.QUERY_KEY, "k_proj", List.of("q_proj")),
                new SmoothingMapping(
                        SmoothingMapping.Kind.MLP_IN, "post_attention_layernorm", List.of("up_proj", "gate_proj")),
                new SmoothingMapping(SmoothingMapping.Kind.MLP_MID, "up_proj", List.of("down_proj")));
    }

    @Override
    public Map<String, List<Long>> norms(int block) {
        List<Long> shape = Architecture.shape(config.hiddenSize());
        Map<String, List<Long>> norms = new LinkedHashMap<>();
        norms.put(prefix(block) + "input_layernorm.weight", shape);
        norms.put(prefix(block) + "post_attention_layernorm.weight", shape);
        return norms;
    }

    @Override
    public Map<String, List<Long>> outerTensors() {
        List<Long> table = Architecture.shape(config.vocabSize(), config.hiddenSize());
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        tensors.put(EMBEDDING, table);
        tensors.put(FINAL_NORM, Architecture.shape(config.hiddenSize()));
        tensors.put(headTensor(), table);
        return tensors;
    }

    @Override
    public String headTensor() {
        return config.tiedHead() ? EMBEDDING : "lm_head.weight";
    }

    @Override
    public NDArray embed(Checkpoint checkpoint, NDManager manager, int[][] chunks, int[][] positions)
            throws IOException {
        return checkpoint
                .gatherRows(manager, EMBEDDING, Architecture.flat(chunks))
                .reshape(chunks.length, chunks[0].length, config.hiddenSize());
    }

    @Override
    public NDArray forward(Block block, NDArray hidden, SequenceConstants constants, ActivationObserver observer) {
        NDArray normed = norm(hidden, block, "input_layernorm");
        List<NDArray> projected = block.project(HookPoint.ATTENTION_IN, normed, observer, "q_proj", "k_proj", "v_proj");
        NDArray queries =
                Torch.rotate(Attention.split(projected.get(0), config.heads()), constants.cos(), constants.sin());
        NDArray keys =
                Torch.rotate(Attention.split(projected.get(1), config.kvHeads()), constants.cos(), constants.sin());
        NDArray values = Attention.split(projected.get(2), config.kvHeads());
        float divisor = (float) Math.sqrt(config.headDim());
        NDArray mixed = Attention.of(block, queries, keys, values, divisor, constants);
        NDArray attended = hidden.add(block.dropped(block.project(HookPoint.ATTENTION_OUT, mixed, observer, "o_proj")
                .get(0)));
        NDArray middle = norm(attended, block, "post_attention_layernorm");
        List<NDArray> gateAndUp = block.project(HookPoint.MLP_IN, middle, observer, "gate_proj", "up_proj");
        NDArray gated = Torch.siluTimes(gateAndUp.get(0), gateAndUp.get(1));
        NDArray output = block.dropped(
                block.project(HookPoint.MLP_MID, gated, observer, "down_proj").get(0));
        return block.differentiable() ? attended.add(output) : attended.addi(output);
    }

    @Override
    public NDArray finish(NDArray hidden, Function<String, NDArray> outer) {
        return norm(hidden, outer.apply(FINAL_NORM));
    }

    private NDArray norm(NDArray hidden, Block block, String name) {
        NDArray normed = norm(hidden, block.norm(name + ".weight"));
        NDArray shift = block.optionalNorm(name + ".bias");
        return block.behindNorm(name, shift == null ? normed : normed.add(shift));
    }

    private NDArray norm(NDArray hidden, NDArray weight) {
        NDArray epsilon = hidden.getManager().full(new Shape(), (float) config.normEpsilon(), DataType.FLOAT32);
        return Torch.rmsNorm(hidden, weight, epsilon);
    }

    private static String prefix(int block) {
        return "model.layers." + block + ".";
    }
}
