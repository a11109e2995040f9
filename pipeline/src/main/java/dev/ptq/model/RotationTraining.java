package dev.ptq.model;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.training.GradientCollector;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.BlockShape;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.family.Projection;
import dev.ptq.model.Rotation.Place;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The loss of a rotated model as a function of the matrices of R1 and R2, and its gradients. The matrices are folded into
 * full-precision weights; activations are rounded as they will be in the end. One block is differentiated at a time, from
 * the last to the first: what entered it is kept, and what happened in it is computed again. Source: SpinQuant (ICLR 2025).
 */
public final class RotationTraining implements AutoCloseable {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";

    private final LanguageModel plain;
    private final LoadedBlocks blocks;
    private final NDManager manager;
    private final Map<String, NDArray> matrices = new LinkedHashMap<>();
    private final Map<String, NDArray> gradients = new LinkedHashMap<>();
    private final Map<Integer, SequenceConstants> constants = new HashMap<>();

    /**
     * Starts from the matrices that a rotation draws.
     *
     * @param model as it is stored; stays open
     * @param operands sets the formats of activations in a block, whose weights stay as they are
     * @param resident whether blocks stay in memory
     */
    public RotationTraining(LanguageModel model, Rotation rotation, BlockRunner.BlockChange operands, boolean resident)
            throws IOException {
        this.plain = model.rotated(rotation, Rotation.Matrices.identity());
        this.blocks = new LoadedBlocks(plain, operands, resident);
        this.manager = plain.manager();
        Rotation.Matrices start = rotation.drawn();
        ModelConfig config = plain.config();
        if (rotation.has(Place.R1)) {
            put("R1", start.residual(config.hiddenSize()), config.hiddenSize());
        }
        for (int block = 0; rotation.has(Place.R2) && block < config.blocks(); block++) {
            int width = config.block(block).attention().headDim();
            put(values(block), start.values(block, width), width);
        }
    }

    /** Memory that logits take, with their probabilities and gradients. */
    public static long logitBytes() {
        return LossHead.logitBytes();
    }

    /** The name of R2 in a block. */
    private static String values(int block) {
        return "R2." + block;
    }

    private void put(String name, UnaryOperator<NDArray> turn, int width) {
        try (NDManager scratch = manager.newSubManager()) {
            set(name, turn.apply(scratch.eye(width, width, 0, DataType.FLOAT64)).toType(DataType.FLOAT32, false));
        }
    }

    /** The matrices by name, {@code R1} and {@code R2.BLOCK}, float32. */
    public Map<String, NDArray> matrices() {
        return matrices;
    }

    /** The gradients of the last {@link #loss}, by the same names. */
    public Map<String, NDArray> gradients() {
        return gradients;
    }

    /** Replaces a matrix. */
    public void set(String name, NDArray matrix) {
        NDArray own = matrix.duplicate();
        own.attach(manager);
        own.setRequiresGradient(true);
        NDArray old = matrices.put(name, own);
        if (old != null) {
            old.close();
        } else {
            gradients.put(name, NativeFloats.create(manager, own.getShape()));
        }
    }

    /**
     * Returns the matrices that training has found, to be folded.
     *
     * @param found by the names of {@link #matrices}; kept as they are
     */
    public static Rotation.Matrices learned(Map<String, float[]> found) {
        return new Rotation.Matrices() {
            @Override
            public UnaryOperator<NDArray> residual(int hiddenSize) {
                return turn("R1", hiddenSize);
            }

            @Override
            public UnaryOperator<NDArray> values(int block, int headDim) {
                return turn(RotationTraining.values(block), headDim);
            }

            private UnaryOperator<NDArray> turn(String name, int width) {
                float[] entries = found.get(name);
                if (entries == null || entries.length != width * width) {
                    throw new IllegalArgumentException("expected a matrix " + name + " of " + width + " by " + width);
                }
                return x -> x.matMul(
                        NativeFloats.of(x.getManager(), entries, width, width).toType(x.getDataType(), false));
            }
        };
    }

    /**
     * Computes the mean loss of the tokens of some sequences but the first of each, in nats, and sets the gradients.
     *
     * @param sequences of token ids, all of one length
     */
    public double loss(int[][] sequences) throws IOException {
        gradients.values().forEach(gradient -> gradient.set(new NDIndex(":"), 0));
        int tokens = sequences[0].length - 1;
        try (NDManager step = manager.newSubManager()) {
            int[][] inputs = new int[sequences.length][];
            int[][] positions = new int[sequences.length][];
            int[] targets = new int[sequences.length * tokens];
            for (int i = 0; i < sequences.length; i++) {
                inputs[i] = Arrays.copyOf(sequences[i], tokens);
                positions[i] = IntStream.range(0, tokens).toArray();
                System.arraycopy(sequences[i], 1, targets, i * tokens, tokens);
            }
            NDArray embedded = plain.decoder().embed(plain.weights(), step, inputs, positions);
            List<NDArray> entering = new ArrayList<>();
            NDArray stream = rotatedCopy(step, embedded);
            for (int block = 0; block < plain.config().blocks(); block++) {
                entering.add(stream);
                stream = output(step, block, stream);
            }
            LossHead.Result head = new LossHead(plain).of(step, stream, targets, new Unturned());
            NDArray gradient = head.gradient();
            for (int block = plain.config().blocks() - 1; block >= 0; block--) {
                gradient = backward(step, block, entering.get(block), gradient);
            }
            embeddingGradient(step, embedded, gradient);
            return head.loss();
        }
    }

    private NDArray rotatedCopy(NDManager step, NDArray embedded) {
        NDArray residual = matrices.get("R1");
        NDArray turned = residual == null ? embedded.duplicate() : embedded.matMul(residual);
        turned.attach(step);
        return turned;
    }

    /** Differentiates, and adds the gradients of the matrices to those of the step. */
    private void differentiate(GradientCollector collector, NDArray value) {
        collector.backward(value);
        matrices.forEach((name, matrix) -> {
            try (NDArray found = matrix.getGradient()) {
                Objects.requireNonNull(gradients.get(name), name).addi(found);
                found.set(new NDIndex(":"), 0);
            }
        });
    }

    private NDArray output(NDManager step, int index, NDArray input) throws IOException {
        Block block = blocks.take(index);
        try (NDManager scratch = step.newSubManager()) {
            NDArray output = forward(scratch, block, input);
            output.attach(step);
            return output;
        } finally {
            blocks.release(block);
        }
    }

    /** What a block makes of its input with the matrices folded in. */
    private NDArray forward(NDManager scratch, Block block, NDArray input) {
        matrices.values().forEach(matrix -> matrix.tempAttach(scratch));
        block.tensors().values().forEach(tensor -> tensor.tempAttach(scratch));
        input.tempAttach(scratch);
        SequenceConstants shared = constants.computeIfAbsent(
                (int) input.getShape().get(1), length -> new SequenceConstants(manager, length));
        try (Block folded = block.with(folded(block))) {
            return plain.decoder()
                    .forward(
                            new ForwardPass(folded, shared, ActivationObserver.NONE, Operators.differentiable()),
                            input);
        }
    }

    /** The gradient of the loss by a block's input; those of the matrices are added to theirs. */
    private NDArray backward(NDManager step, int index, NDArray input, NDArray gradient) throws IOException {
        Block block = blocks.take(index);
        try (NDManager scratch = step.newSubManager();
                GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            input.setRequiresGradient(true);
            NDArray output = forward(scratch, block, input);
            differentiate(collector, output.mul(gradient).sum());
            NDArray own = input.getGradient().duplicate();
            own.attach(step);
            return own;
        } finally {
            blocks.release(block);
        }
    }

    private void embeddingGradient(NDManager step, NDArray embedded, NDArray gradient) {
        NDArray residual = matrices.get("R1");
        if (residual == null) {
            return;
        }
        long hidden = plain.config().hiddenSize();
        try (NDManager scratch = step.newSubManager();
                GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            residual.tempAttach(scratch);
            NDArray turned = embedded.reshape(-1, hidden).matMul(residual);
            differentiate(collector, turned.mul(gradient.reshape(-1, hidden)).sum());
        }
    }

    /** The tensors of a block that the matrices are folded into; in the graph of their gradients. */
    private Map<String, NDArray> folded(Block block) {
        Map<String, NDArray> tensors = block.tensors();
        Map<String, NDArray> folded = new LinkedHashMap<>();
        BlockShape shape = plain.config().block(block.index());
        AttentionShape attention = shape.attention();
        for (int i = 0; i < attention.inputs().size(); i++) {
            String path = attention.inputs().get(i).path();
            reader(path, tensors, folded);
            if (attention.order() != Order.SEPARATE || i == 2) {
                values(block.index(), path, attention, tensors, folded);
            }
        }
        NDArray ofHead = matrices.get(values(block.index()));
        String output = attention.output().path();
        NDArray mixed = present(tensors, output + WEIGHT);
        writer(
                attention.output(),
                ofHead == null
                        ? mixed
                        : mixed.reshape(-1, attention.headDim()).matMul(ofHead).reshape(mixed.getShape()),
                tensors,
                folded);
        for (MlpShape mlp : shape.mlp().mlps()) {
            mlp.inputs().forEach(input -> reader(input.path(), tensors, folded));
            writer(mlp.output(), present(tensors, mlp.output().path() + WEIGHT), tensors, folded);
        }
        if (shape.mlp() instanceof MixtureShape mixture) {
            reader(mixture.router(), tensors, folded);
            mixture.shared().ifPresent(shared -> reader(shared.gate(), tensors, folded));
        }
        return folded;
    }

    private static NDArray present(Map<String, NDArray> tensors, String name) {
        return Objects.requireNonNull(tensors.get(name), name);
    }

    private void reader(String path, Map<String, NDArray> tensors, Map<String, NDArray> target) {
        NDArray residual = matrices.get("R1");
        NDArray weight = present(tensors, path + WEIGHT);
        target.put(path + WEIGHT, residual == null ? weight : weight.matMul(residual));
    }

    private void values(
            int block,
            String path,
            AttentionShape attention,
            Map<String, NDArray> tensors,
            Map<String, NDArray> target) {
        NDArray ofHead = matrices.get(values(block));
        if (ofHead == null) {
            return;
        }
        UnaryOperator<NDArray> turn = rows -> rows.matMul(ofHead);
        NDArray weight = present(target, path + WEIGHT);
        target.put(
                path + WEIGHT,
                Torch.contiguous(RotatedWeights.onValues(attention, turn, Torch.contiguous(weight.transpose(1, 0)))
                        .transpose(1, 0)));
        @Nullable NDArray bias = tensors.get(path + BIAS);
        if (bias != null) {
            target.put(
                    path + BIAS,
                    RotatedWeights.onValues(attention, turn, bias.reshape(1, -1))
                            .reshape(-1));
        }
    }

    private void writer(Projection linear, NDArray weight, Map<String, NDArray> tensors, Map<String, NDArray> target) {
        NDArray residual = matrices.get("R1");
        target.put(
                linear.path() + WEIGHT,
                residual == null ? weight : residual.transpose(1, 0).matMul(weight));
        @Nullable NDArray bias = tensors.get(linear.path() + BIAS);
        if (bias != null && residual != null) {
            target.put(
                    linear.path() + BIAS, bias.reshape(1, -1).matMul(residual).reshape(-1));
        }
    }

    /** What stands between the stream and the loss here: R1, which is taken back rather than folded into the head. */
    private final class Unturned implements LossHead.Start {
        @Override
        public NDArray before(NDArray stream) {
            NDArray residual = matrices.get("R1");
            // a norm without parameters turns with its input, which is turned back rather than the head
            return residual == null ? stream : stream.matMul(residual.transpose(1, 0));
        }

        @Override
        public void lend(NDManager scratch) {
            matrices.values().forEach(matrix -> matrix.tempAttach(scratch));
        }

        @Override
        public void differentiate(GradientCollector collector, NDArray value) {
            RotationTraining.this.differentiate(collector, value);
        }
    }

    @Override
    public void close() throws IOException {
        blocks.close();
        plain.close();
    }
}
