package dev.ptq.method;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.Linear;
import dev.ptq.model.Operators;
import dev.ptq.tensor.AdamW;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.SignDescent;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.DoubleConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Trains the parameters of one block so that the quantized block, on the inputs that the quantized blocks before it
 * give, comes close to the full-precision model. The parameters that were best over all samples are kept; the start is
 * among those compared.
 */
final class BlockReconstruction implements AutoCloseable {
    /** How often the loss over all samples is taken where iterations are counted; else it is after each epoch. */
    private static final int EVALUATIONS = 10;
    /** With fewer multiplications in the linears of a step, several threads are slower than one. */
    private static final long PRODUCTS_FOR_THREADS = 1L << 30;
    /** Native memory of small arrays is given back only when Java's own are collected. */
    private static final int STEPS_BETWEEN_COLLECTIONS = 200;

    private final BlockContext context;
    private final BlockSamples samples;
    private final BlockParametrization parametrization;
    private final Training training;
    private final NDManager manager;
    private final Map<String, NDArray> original;
    private final Block frozen;
    private final @Nullable HiddenStates augmented;
    private final Times times = new Times();

    /** Where the time goes, in nanoseconds. */
    private static final class Times {
        private long rounding;
        private long forward;
        private long backward;
        private long optimizer;
        private long evaluations;

        BlockContext.TrainingSeconds seconds() {
            return new BlockContext.TrainingSeconds(
                    rounding / 1e9, forward / 1e9, backward / 1e9, optimizer / 1e9, evaluations / 1e9);
        }
    }

    /** Prepares the training of the block at hand. */
    BlockReconstruction(BlockContext context, BlockParametrization parametrization, Training training)
            throws IOException {
        this.context = context;
        this.samples = context.samples();
        this.parametrization = parametrization;
        this.training = training;
        this.manager = context.block().manager().newSubManager();
        this.original = context.block().tensors();
        this.frozen = context.block().with(original);
        if (training.quantizedActivations()) {
            context.formats().roundOperands(frozen);
        }
        this.augmented = training.augmented() ? samples.outputsOnQuantizedPath(context.block()) : null;
    }

    /** Trains, keeps the best, and hands the block's new tensors to the work at hand. */
    void run(Method method) throws IOException {
        long start = System.nanoTime();
        List<Parameter> parameters = parametrization.parameters();
        if (training.start().isPresent()) {
            context.restore(training.start().get(), method.name(), parameters);
        }
        double nearest = lossOf(this::nearest);
        double initial = lossNow();
        if (!Double.isFinite(initial)) {
            throw new IOException("block " + context.block().index() + ": before training the loss is " + initial
                    + "; a number format is out of range, or the learned parameters are");
        }
        Best best = new Best(parameters, initial);
        int steps = training.steps(samples.size());
        if (steps > 0) {
            train(method, parameters, steps, best);
        }
        best.restore();
        try (NDManager scratch = manager.newSubManager()) {
            borrow(scratch);
            Map<String, NDArray> transformed = parametrization.transformed(original);
            context.transform(transformed);
            for (Linear linear : context.block().linears()) {
                parametrization.grid(linear).ifPresent(grid -> context.round(linear, grid));
            }
        }
        context.keep(method.name(), parameters);
        context.report(new BlockContext.BlockReport(
                method.name(),
                context.block().index(),
                nearest,
                initial,
                best.loss,
                best.step,
                steps,
                (System.nanoTime() - start) / 1e9,
                times.seconds()));
    }

    /** The parameters with the lowest loss over all samples so far. */
    private static final class Best {
        private final List<Parameter> parameters;
        private final Map<String, float[]> values = new HashMap<>();
        private double loss;
        private int step;

        Best(List<Parameter> parameters, double loss) {
            this.parameters = parameters;
            this.loss = loss;
            take();
        }

        void consider(double now, int steps) {
            if (now < loss) {
                loss = now;
                step = steps;
                take();
            }
        }

        private void take() {
            parameters.forEach(parameter -> values.put(parameter.name(), parameter.values()));
        }

        void restore() {
            parameters.forEach(parameter -> parameter.set(values.getOrDefault(parameter.name(), new float[0])));
        }
    }

    private void train(Method method, List<Parameter> parameters, int steps, Best best) throws IOException {
        DoubleConsumer update = update(parameters);
        SplittableRandom random = new SplittableRandom(context.seed());
        int perPass = training.order() == Training.Order.DRAWN ? steps : training.stepsPerPass(samples.size());
        int passes = steps / perPass;
        int evaluateEvery = training.epochs() > 0 ? perPass : (steps + EVALUATIONS - 1) / EVALUATIONS;
        boolean small = productsOfAStep() < PRODUCTS_FOR_THREADS;
        int[] order = {};
        for (int step = 0; step < steps; step++) {
            if (step % perPass == 0) {
                if (training.start().isEmpty()) {
                    parametrization.startEpoch(step / perPass, passes);
                }
                order = order(random);
            }
            int[] chosen = batch(order, step % perPass, random);
            double loss =
                    small ? Parallel.onOneThread(() -> step(chosen)) : Parallel.onEngineThreads(() -> step(chosen));
            if (!Double.isFinite(loss)) {
                diverged(method, step, loss, best);
                return;
            }
            long moment = System.nanoTime();
            update.accept(training.decay().rate(step, steps));
            parametrization.project();
            times.optimizer += System.nanoTime() - moment;
            context.stepDone();
            if ((step + 1) % STEPS_BETWEEN_COLLECTIONS == 0) {
                System.gc();
            }
            if ((step + 1) % evaluateEvery == 0 || step + 1 == steps) {
                double now = lossNow();
                if (!Double.isFinite(now)) {
                    diverged(method, step, now, best);
                    return;
                }
                best.consider(now, step + 1);
            }
        }
    }

    /** Returns an update of all parameters by their gradients, given the share of learning rates that is left. */
    private DoubleConsumer update(List<Parameter> parameters) {
        parameters.forEach(parameter -> parameter.tensor().setRequiresGradient(true));
        return switch (training.optimizer()) {
            case ADAM -> {
                AdamW adam = new AdamW(new AdamW.Settings(0.9, 0.999, 1e-8));
                for (Parameter parameter : parameters) {
                    adam.add(parameter.name(), parameter.tensor(), parameter.rate(), 0, manager);
                }
                yield rate -> adam.step(rate, 1);
            }
            case SIGN -> {
                SignDescent descent = new SignDescent();
                parameters.forEach(parameter -> descent.add(parameter.tensor(), parameter.rate()));
                yield descent::step;
            }
        };
    }

    private void diverged(Method method, int step, double loss, Best best) throws IOException {
        String what = "block " + context.block().index() + ", step " + (step + 1) + ": the loss is " + loss;
        if (training.onNonFinite() == Training.OnNonFinite.STOP) {
            throw new IOException(what + "; lower the learning rates, or set on_non_finite = \"keep_best\"");
        }
        context.record(
                LedgerEvent.DIVERGED,
                method,
                "blocks." + context.block().index(),
                best.step,
                what + "; the parameters of step " + best.step + " are kept");
    }

    private int[] order(SplittableRandom random) {
        int[] order = new int[samples.size()];
        for (int i = 0; i < order.length; i++) {
            int other = training.order() == Training.Order.GIVEN ? i : random.nextInt(i + 1);
            order[i] = order[other];
            order[other] = i;
        }
        return order;
    }

    private int[] batch(int[] order, int step, SplittableRandom random) {
        int[] batch = new int[Math.min(training.batchSize(), order.length)];
        boolean isDrawn = training.order() == Training.Order.DRAWN;
        int[] from = isDrawn ? order(random) : order;
        int at = isDrawn ? 0 : step * batch.length;
        System.arraycopy(from, at, batch, 0, batch.length);
        return batch;
    }

    /** Lets results be attached to the scratch manager for a while: they go where the first operand lives. */
    private void borrow(NDManager scratch) {
        original.values().forEach(tensor -> tensor.tempAttach(scratch));
        parametrization.parameters().forEach(parameter -> parameter.tensor().tempAttach(scratch));
    }

    private double step(int[] chosen) {
        try (NDManager scratch = manager.newSubManager();
                GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            long moment = System.nanoTime();
            borrow(scratch);
            Map<String, NDArray> tensors = parametrization.rounded(parametrization.transformed(original));
            times.rounding += System.nanoTime() - moment;
            moment = System.nanoTime();
            double value;
            NDArray loss;
            try (Block block = frozen.with(tensors)) {
                loss = objective(scratch, block, Operators.differentiable(), chosen);
                value = loss.getFloat();
            }
            times.forward += System.nanoTime() - moment;
            moment = System.nanoTime();
            if (Double.isFinite(value)) {
                collector.backward(loss);
            }
            times.backward += System.nanoTime() - moment;
            return value;
        }
    }

    /** The loss of a block on some samples, a scalar. */
    private NDArray objective(NDManager scratch, Block block, Operators operators, int... chosen) {
        NDArray input = BlockSamples.together(scratch, samples.quantized(), chosen);
        NDArray target = BlockSamples.together(scratch, samples.target(), chosen);
        NDArray output = samples.pass().forward(block, input, ActivationObserver.NONE, operators);
        NDArray loss = Torch.meanSquaredError(output, target);
        switch (training.loss()) {
            case SQUARED -> {}
            case SQUARED_SUM_OF_TOKENS ->
                loss = loss.mul(
                        NativeFloats.scalar(scratch, (float) input.getShape().get(1)));
            case SQUARED_AND_COSINE -> {
                NDArray cosine = Torch.meanCosine(output, target).abs().maximum(NativeFloats.scalar(scratch, 1e-6f));
                loss = loss.sub(cosine.log().mul(NativeFloats.scalar(scratch, (float) training.cosineWeight())));
            }
        }
        return augmented == null
                ? loss
                : loss.add(Torch.meanSquaredError(output, BlockSamples.together(scratch, augmented, chosen)));
    }

    /** Multiplications in the linears of a step's forward pass. */
    private long productsOfAStep() {
        long weights = context.block().linears().stream()
                .mapToLong(linear -> linear.spec().size())
                .sum();
        return weights
                * training.batchSize()
                * samples.quantized().batch(0).getShape().get(1);
    }

    private double lossNow() throws IOException {
        return lossOf(() -> parametrization.rounded(parametrization.transformed(original)));
    }

    private double lossOf(Supplier<Map<String, NDArray>> tensors) throws IOException {
        long moment = System.nanoTime();
        try (NDManager scratch = manager.newSubManager()) {
            borrow(scratch);
            return loss(tensors.get());
        } finally {
            times.evaluations += System.nanoTime() - moment;
        }
    }

    /** The mean loss over all samples, by the kernels that run at the end. */
    private double loss(Map<String, NDArray> tensors) throws IOException {
        float[] losses = new float[samples.size()];
        try (Block block = frozen.with(tensors)) {
            int atOnce = BlockPass.atOnce(samples.target().batch(0).size());
            Parallel.forEachOfTensors(losses.length, atOnce, i -> {
                try (NDManager scratch = manager.newSubManager()) {
                    losses[i] =
                            objective(scratch, block, Operators.inPlace(), i).getFloat();
                }
            });
        }
        double sum = 0;
        for (float loss : losses) {
            sum += loss;
        }
        return sum / losses.length;
    }

    /** The block's tensors rounded to nearest, without any parameters. */
    private Map<String, NDArray> nearest() {
        List<EquivalentTransform> none = new ArrayList<>();
        BlockParametrization plain = new BlockParametrization(
                context.block(),
                context.shape(),
                context.formats(),
                none,
                linear -> WeightRounding.nearest(
                        context.formats().of(linear.spec()).weight()));
        return plain.rounded(new LinkedHashMap<>(original));
    }

    @Override
    public void close() {
        if (augmented != null) {
            augmented.close();
        }
        manager.close();
    }
}
