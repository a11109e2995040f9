package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.HeadNorms;
import dev.ptq.family.BlockShape;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.family.Norm;
import dev.ptq.family.Projection;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A model by its parts: the names and shapes of its tensors, and the computation outside and inside of its blocks. */
record Decoder(ModelConfig config) {
    private static final String WEIGHT = ".weight";
    /** An expert in {@link HookPoint}s. */
    static String expert(int index) {
        return Integer.toString(index);
    }

    /** The names of the tensors of a block. */
    List<String> names(int block) {
        List<String> names = new ArrayList<>();
        for (LinearSpec linear : linears(block)) {
            names.add(linear.weightName());
            if (linear.hasBias()) {
                names.add(linear.biasName());
            }
        }
        others(block).keySet().forEach(path -> names.add(prefix(block) + path));
        return names;
    }

    /** The prefix of a block's tensor names in the checkpoint, such as {@code model.layers.0.}. */
    String prefix(int block) {
        return config.names().blocks() + block + ".";
    }

    /** The linears of a block, in computation order. */
    List<LinearSpec> linears(int block) {
        BlockShape shape = config.block(block);
        AttentionShape attention = shape.attention();
        int hidden = config.hiddenSize();
        List<LinearSpec> linears = new ArrayList<>();
        for (int i = 0; i < attention.inputs().size(); i++) {
            linears.add(
                    linear(block, attention.inputs().get(i), HookPoint.ATTENTION_IN, attention.inputWidth(i), hidden));
        }
        linears.add(linear(block, attention.output(), HookPoint.ATTENTION_OUT, hidden, attention.queryWidth()));
        if (shape.mlp() instanceof MixtureShape mixture) {
            for (int i = 0; i < mixture.experts().size(); i++) {
                addMlp(block, mixture.experts().get(i), expert(i), linears);
            }
            mixture.shared().ifPresent(shared -> addMlp(block, shared.expert(), HookPoint.SHARED_EXPERT, linears));
        } else {
            addMlp(block, (MlpShape) shape.mlp(), "", linears);
        }
        return linears;
    }

    private void addMlp(int block, MlpShape mlp, String expert, List<LinearSpec> target) {
        for (Projection input : mlp.inputs()) {
            target.add(linear(block, input, HookPoint.MLP_IN.of(expert), mlp.inputWidth(), config.hiddenSize()));
        }
        target.add(linear(block, mlp.output(), HookPoint.MLP_MID.of(expert), config.hiddenSize(), mlp.width()));
    }

    private LinearSpec linear(int block, Projection linear, HookPoint hookPoint, int out, int in) {
        String path = linear.path();
        return new LinearSpec(block, prefix(block) + path, path, hookPoint, out, in, linear.hasBias());
    }

    /** The inputs of linears of a block, in computation order, that of its mixture, and those of its cache. */
    List<InputSpec> inputs(int block) {
        Set<InputSpec> inputs = new LinkedHashSet<>();
        linears(block).forEach(linear -> inputs.add(linear.input()));
        if (config.block(block).mlp() instanceof MixtureShape) {
            inputs.add(new InputSpec(block, HookPoint.MIXTURE_IN, config.hiddenSize()));
        }
        int width = config.block(block).attention().keyWidth();
        HookPoint.OF_CACHE.forEach(hookPoint -> inputs.add(new InputSpec(block, hookPoint, width)));
        return List.copyOf(inputs);
    }

    static List<Projection> linears(BlockShape shape) {
        List<Projection> linears = new ArrayList<>(shape.attention().inputs());
        linears.add(shape.attention().output());
        for (MlpShape mlp : shape.mlp().mlps()) {
            linears.addAll(mlp.inputs());
            linears.add(mlp.output());
        }
        return linears;
    }

    static List<Norm> norms(BlockShape shape) {
        Set<Norm> norms = new LinkedHashSet<>();
        shape.attentionNorms().all().forEach(norms::add);
        shape.mlpNorms().all().forEach(norms::add);
        shape.attention().headNorms().ifPresent(pair -> norms.addAll(List.of(pair.query(), pair.key())));
        return List.copyOf(norms);
    }

    List<Norm> outerNorms() {
        List<Norm> norms = new ArrayList<>();
        config.embedding().norm().ifPresent(norms::add);
        config.output().norm().ifPresent(norms::add);
        return norms;
    }

    /** The other tensors of a block: path in the block to shape, always in the same order. */
    Map<String, List<Long>> others(int block) {
        BlockShape shape = config.block(block);
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        shape.attentionNorms().all().forEach(norm -> addNorm(norm, shape(config.hiddenSize()), tensors));
        shape.mlpNorms().all().forEach(norm -> addNorm(norm, shape(config.hiddenSize()), tensors));
        AttentionShape attention = shape.attention();
        attention.headNorms().ifPresent(norms -> {
            addNorm(norms.query(), headNormShape(norms, attention.heads(), attention.headDim()), tensors);
            addNorm(norms.key(), headNormShape(norms, attention.kvHeads(), attention.headDim()), tensors);
        });
        if (shape.mlp() instanceof MixtureShape mixture) {
            tensors.put(mixture.router() + WEIGHT, shape(mixture.experts().size(), config.hiddenSize()));
            mixture.shared().ifPresent(shared -> tensors.put(shared.gate() + WEIGHT, shape(1, config.hiddenSize())));
        }
        return tensors;
    }

    private static List<Long> headNormShape(HeadNorms norms, int heads, int headDim) {
        return switch (norms.over()) {
            case HEAD -> shape(headDim);
            case HEAD_WITH_OWN_WEIGHT -> shape(heads, headDim);
            case WIDTH -> shape((long) heads * headDim);
        };
    }

    private static void addNorm(Norm norm, List<Long> shape, Map<String, List<Long>> tensors) {
        if (norm.hasWeight()) {
            tensors.put(norm.weight(), shape);
        }
        if (norm.hasBias()) {
            tensors.put(norm.bias(), shape);
        }
    }

    /** The tensors outside the blocks: name in the checkpoint to shape. */
    Map<String, List<Long>> outerTensors() {
        int hidden = config.hiddenSize();
        int width = config.vocabulary().width();
        List<Long> table = shape(config.vocabulary().size(), width);
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        tensors.put(config.embedding().table(), table);
        config.positions()
                .learned()
                .ifPresent(learned -> tensors.put(
                        learned.name(), shape(config.positions().count() + (long) learned.offset(), hidden)));
        config.embedding().norm().ifPresent(norm -> addNorm(norm, shape(hidden), tensors));
        config.output().norm().ifPresent(norm -> addNorm(norm, shape(hidden), tensors));
        config.embedding().projection().ifPresent(name -> tensors.put(name, shape(hidden, width)));
        config.output().projection().ifPresent(name -> tensors.put(name, shape(width, hidden)));
        tensors.put(headTensor(), table);
        headBias().ifPresent(name -> tensors.put(name, shape(config.vocabulary().size())));
        return tensors;
    }

    /** The names in {@link #outerTensors} that {@link #finish} uses. */
    List<String> finishingTensors() {
        Map<String, List<Long>> tensors = new LinkedHashMap<>();
        config.output().norm().ifPresent(norm -> addNorm(norm, List.of(), tensors));
        config.output().projection().ifPresent(name -> tensors.put(name, List.of()));
        return List.copyOf(tensors.keySet());
    }

    /** The tensor that turns hidden states into logits, {@code [vocabSize, embeddingSize]}. */
    String headTensor() {
        return config.vocabulary().tied()
                ? config.embedding().table()
                : config.output().head() + WEIGHT;
    }

    /** The tensor that is added to logits, {@code [vocabSize]}. */
    Optional<String> headBias() {
        return config.output().bias() ? Optional.of(config.output().head() + ".bias") : Optional.empty();
    }

    /**
     * Returns the input of the first block, {@code [chunks, tokens, hiddenSize]}.
     *
     * @param chunks token ids of equal length
     * @param positions of each
     */
    NDArray embed(WeightSource weights, NDManager manager, int[][] chunks, int[][] positions) throws IOException {
        int tokens = chunks[0].length;
        NDArray embedded = weights.weight(config.embedding().table())
                .gather(manager, flat(chunks))
                .reshape(chunks.length, tokens, config.vocabulary().width());
        if (config.embedding().projection().isPresent()) {
            embedded = Torch.linear(
                    embedded,
                    weights.load(manager, config.embedding().projection().get()));
        }
        if (config.embedding().multiplier() != 1) {
            embedded.muli(
                    NativeFloats.scalar(manager, (float) config.embedding().multiplier()));
        }
        if (config.positions().learned().isPresent()) {
            ModelConfig.PositionTable table = config.positions().learned().get();
            int[] rows = Arrays.stream(flat(positions))
                    .map(position -> position + table.offset())
                    .toArray();
            embedded = embedded.add(weights.weight(table.name())
                    .gather(manager, rows)
                    .reshape(chunks.length, tokens, config.hiddenSize()));
        }
        if (config.embedding().norm().isPresent()) {
            Norm norm = config.embedding().norm().get();
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            if (norm.hasWeight()) {
                tensors.put(norm.weight(), weights.load(manager, norm.weight()));
            }
            if (norm.hasBias()) {
                tensors.put(norm.bias(), weights.load(manager, norm.bias()));
            }
            embedded = BlockForward.normed(norm, embedded, tensors::get);
        }
        return embedded;
    }

    /** Returns the block's output for {@code hidden}, {@code [batch, tokens, hiddenSize]}, which is not modified. */
    NDArray forward(ForwardPass pass, NDArray hidden) {
        return new BlockForward(config.block(pass.block().index()), pass).forward(hidden);
    }

    /** Returns what a branch of the block makes of its input, see {@link BlockForward#branch}. */
    NDArray branch(ForwardPass pass, HookPoint entry, NDArray input) {
        return new BlockForward(config.block(pass.block().index()), pass).branch(entry, input);
    }

    /**
     * Returns the head's input, {@code [..., embeddingSize]}, from the last block's output. The multiplier of the logits
     * is in it.
     *
     * @param outer gives a tensor of {@link #finishingTensors}
     */
    NDArray finish(NDArray hidden, Function<String, NDArray> outer) {
        NDArray finished = hidden;
        if (config.output().norm().isPresent()) {
            Norm norm = config.output().norm().get();
            List<String> names = finishingTensors();
            finished = BlockForward.normed(norm, finished, name -> names.contains(name) ? outer.apply(name) : null);
        }
        if (config.output().projection().isPresent()) {
            finished = Torch.linear(
                    finished, outer.apply(config.output().projection().get()));
        }
        double multiplier = config.output().multiplier();
        return multiplier == 1
                ? finished
                : finished.mul(NativeFloats.scalar(finished.getManager(), (float) multiplier));
    }

    /**
     * Returns logits of some tokens.
     *
     * @param finished from {@link #finish}, {@code [rows, embeddingSize]}
     * @param head rows of {@link #headTensor}
     * @param bias values of {@link #headBias}, for the same tokens
     */
    NDArray logits(NDArray finished, NDArray head, @Nullable NDArray bias) {
        NDArray logits = bias == null ? Torch.linear(finished, head) : Torch.linear(finished, head, bias);
        return config.output().softcap().isPresent()
                ? Torch.softcap(logits, config.output().softcap().getAsDouble())
                : logits;
    }

    /** Joins rows of equal length. */
    static int[] flat(int[][] chunks) {
        int tokens = chunks[0].length;
        int[] ids = new int[chunks.length * tokens];
        for (int i = 0; i < chunks.length; i++) {
            System.arraycopy(chunks[i], 0, ids, i * tokens, tokens);
        }
        return ids;
    }

    static List<Long> shape(long... dimensions) {
        return Arrays.stream(dimensions).boxed().toList();
    }
}
