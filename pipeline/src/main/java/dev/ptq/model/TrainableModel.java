package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.ModelConfig;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;

/**
 * A llama whose tensors are all trainable parameters in memory, for the recipe that trains one from scratch. Its
 * forward pass is that of {@link LanguageModel}, a block at a time; the head is the embedding.
 */
public final class TrainableModel implements AutoCloseable {
    private final Decoder decoder;
    private final NDManager manager = TensorEngine.newManager();
    private final Map<String, NDArray> parameters = new LinkedHashMap<>();
    private final List<Block> blocks = new ArrayList<>();
    private final SequenceConstants constants;

    /**
     * Makes a model with random weights: matrices from N(0, 0.02²), narrower by the root of their number for those that
     * write to the residual stream (Radford et al., 2019), norms one.
     *
     * @param config of a llama with a tied head and without biases
     * @param tokens in every sequence
     */
    public TrainableModel(ModelConfig config, int tokens, long seed) {
        if (!config.family().equals("llama")
                || !config.vocabulary().tied()
                || new Decoder(config).linears(0).stream().anyMatch(LinearSpec::hasBias)) {
            throw new IllegalArgumentException("expected a llama with a tied head and without biases, got " + config);
        }
        decoder = new Decoder(config);
        constants = new SequenceConstants(manager, tokens);
        SplittableRandom random = new SplittableRandom(seed);
        double deviation = 0.02;
        decoder.outerTensors()
                .forEach((name, shape) -> parameters.put(name, initial(shape, deviation, random.split())));
        for (int index = 0; index < config.blocks(); index++) {
            Block block = new Block(index, manager.newSubManager());
            for (LinearSpec spec : decoder.linears(index)) {
                boolean toResidual =
                        HookPoint.ATTENTION_OUT.equals(spec.hookPoint()) || HookPoint.MLP_MID.equals(spec.hookPoint());
                NDArray weight = initial(
                        Decoder.shape(spec.outFeatures(), spec.inFeatures()),
                        toResidual ? deviation / Math.sqrt(2.0 * config.blocks()) : deviation,
                        random.split());
                parameters.put(spec.weightName(), weight);
                block.add(new Linear(spec, weight, null));
            }
            String prefix = decoder.prefix(index);
            decoder.others(index).entrySet().stream()
                    .sorted(Map.Entry.comparingByKey())
                    .forEach(entry -> {
                        NDArray weight = initial(entry.getValue(), deviation, random.split());
                        parameters.put(prefix + entry.getKey(), weight);
                        block.addNorm(entry.getKey(), weight);
                    });
            blocks.add(block);
        }
        parameters.values().forEach(parameter -> parameter.setRequiresGradient(true));
    }

    private NDArray initial(List<Long> shape, double deviation, SplittableRandom random) {
        long[] dimensions = shape.stream().mapToLong(Long::longValue).toArray();
        float[] values = new float[Math.toIntExact(Arrays.stream(dimensions).reduce(1, (a, b) -> a * b))];
        for (int i = 0; i < values.length; i++) {
            values[i] = dimensions.length == 1 ? 1 : (float) (deviation * random.nextGaussian());
        }
        return NativeFloats.of(manager, values, dimensions);
    }

    /** The tensors by their names in a checkpoint. */
    public Map<String, NDArray> parameters() {
        return parameters;
    }

    /** The model's shape. */
    public ModelConfig config() {
        return decoder.config();
    }

    /**
     * Returns the mean negative log-likelihood, in nats, of each sequence's tokens but the first, given those before.
     *
     * @param scratch owns all intermediate results; gradients are taken before it is closed
     * @param sequences of token ids, one longer than the model's sequences
     * @param dropout share of values dropped from each branch of the residual stream, and from the embedding
     */
    public NDArray loss(NDManager scratch, int[][] sequences, double dropout) {
        // results go where the first operand lives: for one step that is the scratch
        parameters.values().forEach(parameter -> parameter.tempAttach(scratch));
        int tokens = sequences[0].length - 1;
        NDArray rate = scratch.full(new Shape(), (float) dropout, DataType.FLOAT32);
        UnaryOperator<NDArray> drop = dropout == 0 ? UnaryOperator.identity() : x -> Torch.dropout(x, rate);
        NDArray ids = NativeFloats.indices(scratch, Decoder.flat(sequences), sequences.length, tokens + 1);
        NDArray inputs = ids.get(new NDIndex(":, :{}", tokens)).reshape(-1);
        NDArray targets = ids.get(new NDIndex(":, 1:")).reshape(-1);
        NDArray table = parameter(decoder.headTensor());
        NDArray hidden =
                drop.apply(Torch.embedding(table, inputs).reshape(sequences.length, tokens, config().hiddenSize()));
        Operators operators = Operators.differentiable(drop);
        for (Block block : blocks) {
            hidden = decoder.forward(new ForwardPass(block, constants, ActivationObserver.NONE, operators), hidden);
        }
        NDArray finished = decoder.finish(hidden, this::parameter);
        NDArray logits = Torch.differentiableLinear(finished.reshape(inputs.size(), config().hiddenSize()), table);
        return Torch.crossEntropy(logits, targets);
    }

    private NDArray parameter(String name) {
        return Objects.requireNonNull(parameters.get(name), name);
    }

    @Override
    public void close() {
        manager.close();
    }
}
