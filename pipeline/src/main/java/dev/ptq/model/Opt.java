package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.Checkpoint;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * OPT: learned positions with an offset of 2, LayerNorm before or, as in the 350m model, after attention and MLP, ReLU,
 * and an embedding that may be narrower than the residual stream.
 *
 * @param prefix what all tensor names but the head's start with
 */
record Opt(ModelConfig config, String prefix) implements Architecture {
    private static final int POSITION_OFFSET = 2;

    @Override
    public List<LinearSpec> linears(int block) {
        String attention = layer(block) + "self_attn.";
        int hidden = config.hiddenSize();
        int middle = config.intermediateSize();
        boolean bias = config.attentionBias();
        return List.of(
                new LinearSpec(block, attention + "q_proj", HookPoint.ATTENTION_IN, hidden, hidden, bias),
                new LinearSpec(block, attention + "k_proj", HookPoint.ATTENTION_IN, hidden, hidden, bias),
                new LinearSpec(block, attention + "v_proj", HookPoint.ATTENTION_IN, hidden, hidden, bias),
                new LinearSpec(block, attention + "out_proj", HookPoint.ATTENTION_OUT, hidden, hidden, bias),
                new LinearSpec(block, layer(block) + "fc1", HookPoint.MLP_IN, middle, hidden, config.mlpBias()),
                new LinearSpec(block, layer(block) + "fc2", HookPoint.MLP_MID, hidden, middle, config.mlpBias()));
    }

    @Override
    public List<SmoothingMapping> mappings() {
        List<SmoothingMapping> mappings = new ArrayList<>();
        // a norm that comes after its sum feeds the residual stream too
        if (config.normFirst()) {
            mappings.add(new SmoothingMapping(
                    SmoothingMapping.Kind.ATTENTION_IN, "self_attn_layer_norm", List.of("q_proj", "k_proj", "v_proj")));
        }
        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.VALUE_OUT, "v_proj", List.of("out_proj")));
        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.QUERY_KEY, "k_proj", List.of("q_proj")));
        if (config.normFirst()) {
            mappings.add(new SmoothingMapping(SmoothingMapping.Kind.MLP_IN, "final_layer_norm", List.of("fc1")));
        }
        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.MLP_MID, "fc1", List.of("fc2")));
        return mappings;
    }

    @Override
    public Map<String, List<Long>> norms(int block) {
        Map<String, List<Long>> norms = new LinkedHashMap<>();
        for (String norm : List.of("self_attn_layer_norm", "final_layer_norm")) {
            norms.put(layer(block) + norm + ".weight", Architecture.shape(config.hiddenSize()));
            norms.put(layer(block) + norm + ".bias", Architecture.shape(config.hiddenSize()));
        }
        return norms;
    }

    @Override
    public Map<String, List<Long>> outerTensors() {
        int hidden = config.hiddenSize();
        int narrow = config.embeddingSize();
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        tensors.put(embedding(), Architecture.shape(config.vocabSize(), narrow));
        tensors.put(positions(), Architecture.shape(config.maxPositions() + POSITION_OFFSET, hidden));
        if (config.finalNorm()) {
            tensors.put(prefix + "final_layer_norm.weight", Architecture.shape(hidden));
            tensors.put(prefix + "final_layer_norm.bias", Architecture.shape(hidden));
        }
        if (narrow != hidden) {
            tensors.put(prefix + "project_in.weight", Architecture.shape(hidden, narrow));
            tensors.put(prefix + "project_out.weight", Architecture.shape(narrow, hidden));
        }
        tensors.put(headTensor(), Architecture.shape(config.vocabSize(), narrow));
        return tensors;
    }

    @Override
    public String headTensor() {
        return config.tiedHead() ? embedding() : "lm_head.weight";
    }

    @Override
    public NDArray embed(Checkpoint checkpoint, NDManager manager, int[][] chunks, int[][] positions)
            throws IOException {
        int tokens = chunks[0].length;
        int[] rows = Arrays.stream(Architecture.flat(positions))
                .map(position -> position + POSITION_OFFSET)
                .toArray();
        NDArray embedded = checkpoint
                .gatherRows(manager, embedding(), Architecture.flat(chunks))
                .reshape(chunks.length, tokens, config.embeddingSize());
        if (config.embeddingSize() != config.hiddenSize()) {
            embedded = Torch.linear(embedded, checkpoint.load(manager, prefix + "project_in.weight"));
        }
        return embedded.add(
                checkpoint.gatherRows(manager, positions(), rows).reshape(chunks.length, tokens, config.hiddenSize()));
    }

    /** What a block may round in place; where gradients flow it does not, and a copy would stop them. */
    private static NDArray own(NDArray values, Block block) {
        return block.differentiable() ? values : values.duplicate();
    }

    @Override
    public NDArray forward(Block block, NDArray hidden, SequenceConstants constants, ActivationObserver observer) {
        NDArray attentionIn = config.normFirst() ? norm(hidden, block, "self_attn_layer_norm") : own(hidden, block);
        List<NDArray> projected =
                block.project(HookPoint.ATTENTION_IN, attentionIn, observer, "q_proj", "k_proj", "v_proj");
        // here the query is scaled before it is rounded, unlike llama's scores
        float scale = (float) (1 / Math.sqrt(config.headDim()));
        NDArray query = block.differentiable()
                ? projected.get(0).mul(hidden.getManager().full(new Shape(), scale, DataType.FLOAT32))
                : projected.get(0).muli(scale);
        List<NDArray> heads = new ArrayList<>();
        for (NDArray part : List.of(query, projected.get(1), projected.get(2))) {
            heads.add(Attention.split(part, config.heads()));
        }
        NDArray mixed = Attention.of(block, heads.get(0), heads.get(1), heads.get(2), 1, constants);
        NDArray attended = hidden.add(block.project(HookPoint.ATTENTION_OUT, mixed, observer, "out_proj")
                .get(0));
        if (!config.normFirst()) {
            attended = norm(attended, block, "self_attn_layer_norm");
        }
        NDArray mlpIn = config.normFirst() ? norm(attended, block, "final_layer_norm") : own(attended, block);
        NDArray middle = Activation.relu(
                block.project(HookPoint.MLP_IN, mlpIn, observer, "fc1").get(0));
        NDArray output = attended.add(
                block.project(HookPoint.MLP_MID, middle, observer, "fc2").get(0));
        return config.normFirst() ? output : norm(output, block, "final_layer_norm");
    }

    @Override
    public NDArray finish(NDArray hidden, Function<String, NDArray> outer) {
        NDArray finished = hidden;
        if (config.finalNorm()) {
            finished = Torch.layerNorm(
                    finished,
                    outer.apply(prefix + "final_layer_norm.weight"),
                    outer.apply(prefix + "final_layer_norm.bias"));
        }
        if (config.embeddingSize() != config.hiddenSize()) {
            finished = Torch.linear(finished, outer.apply(prefix + "project_out.weight"));
        }
        return finished;
    }

    private static NDArray norm(NDArray values, Block block, String name) {
        return block.behindNorm(
                name, Torch.layerNorm(values, block.norm(name + ".weight"), block.norm(name + ".bias")));
    }

    private String layer(int block) {
        return prefix + "layers." + block + ".";
    }

    private String embedding() {
        return prefix + "embed_tokens.weight";
    }

    private String positions() {
        return prefix + "embed_positions.weight";
    }
}
