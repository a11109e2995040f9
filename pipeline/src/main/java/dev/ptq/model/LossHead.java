package dev.ptq.model;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.training.GradientCollector;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The way from the last block to the loss of the next tokens, and back, some tokens at a time. */
final class LossHead {
    /** Logits that are held at a time, in values. */
    private static final int LOGITS = 1 << 23;

    private final LanguageModel model;

    /** What stands between the stream and the last norm. */
    interface Start {
        /** Nothing. */
        Start PLAIN = new Start() {};

        /** What the last norm sees of the stream, {@code [n, hiddenSize]}. */
        default NDArray before(NDArray stream) {
            return stream;
        }

        /** Lends the tensors that {@link #before} needs to a manager until that is closed. */
        default void lend(NDManager scratch) {}

        /** Differentiates by the stream, and by whatever else {@link #before} depends on. */
        default void differentiate(GradientCollector collector, NDArray value) {
            collector.backward(value);
        }
    }

    /**
     * The loss and how it depends on the stream.
     *
     * @param loss mean of all tokens, in nats
     * @param gradient of that, of the shape of the stream
     */
    record Result(double loss, NDArray gradient) {}

    LossHead(LanguageModel model) {
        this.model = model;
    }

    /** Memory that logits take, with their probabilities and gradients. */
    static long logitBytes() {
        return 4L * LOGITS * Float.BYTES;
    }

    /**
     * Computes the mean loss.
     *
     * @param owner of the gradient
     * @param stream what the last block left, {@code [..., hiddenSize]}
     * @param targets the token that follows each
     */
    Result of(NDManager owner, NDArray stream, int[] targets, Start start) throws IOException {
        Decoder decoder = model.decoder();
        long hidden = model.config().hiddenSize();
        NDArray rows = stream.reshape(-1, hidden);
        NDArray gradient = NativeFloats.create(owner, stream.getShape());
        NDArray target = gradient.reshape(-1, hidden);
        double sum = 0;
        try (NDManager weights = owner.newSubManager()) {
            NDArray head = model.weights().load(weights, decoder.headTensor());
            NDArray bias = decoder.headBias().isPresent()
                    ? model.weights().load(weights, decoder.headBias().get())
                    : null;
            Map<String, NDArray> outer = new HashMap<>();
            for (String name : decoder.finishingTensors()) {
                outer.put(name, model.weights().load(weights, name));
            }
            int atOnce = Math.max(1, LOGITS / model.config().vocabulary().size());
            for (int from = 0; from < targets.length; from += atOnce) {
                int to = Math.min(targets.length, from + atOnce);
                NDIndex some = new NDIndex("{}:{}", from, to);
                int[] own = Arrays.copyOfRange(targets, from, to);
                try (NDManager scratch = owner.newSubManager()) {
                    NDArray input = rows.get(scratch, some).duplicate();
                    double share = (double) own.length / targets.length;
                    sum += piece(scratch, input, own, share, start, head, bias, outer);
                    target.set(some, input.getGradient());
                }
            }
        }
        return new Result(sum, gradient);
    }

    /** Returns the share of the loss, and leaves its gradient at the input. */
    private double piece(
            NDManager scratch,
            NDArray input,
            int[] targets,
            double share,
            Start start,
            NDArray head,
            @Nullable NDArray bias,
            Map<String, NDArray> outer) {
        try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            start.lend(scratch);
            input.setRequiresGradient(true);
            NDArray finished =
                    model.decoder().finish(start.before(input), name -> Objects.requireNonNull(outer.get(name)));
            NDArray logits = Torch.differentiableLinear(finished, head);
            if (bias != null) {
                logits = logits.add(bias);
            }
            if (model.config().output().softcap().isPresent()) {
                logits = Torch.softcap(logits, model.config().output().softcap().getAsDouble());
            }
            NDArray mean = Torch.crossEntropy(logits, NativeFloats.indices(scratch, targets, targets.length));
            start.differentiate(collector, mean.mul(NativeFloats.scalar(scratch, (float) share)));
            return mean.getFloat() * share;
        }
    }
}
