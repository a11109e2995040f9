package dev.ptq.tensor;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Adam with decoupled weight decay, as PyTorch computes it (Loshchilov and Hutter, 2019). Its state is in tensors, so
 * that it can be saved and resumed.
 */
public final class AdamW {
    private static final int TILE = 1 << 12;

    private final Settings settings;
    private final Map<String, Slot> slots = new LinkedHashMap<>();
    private int steps;

    /**
     * Settings shared by all parameters.
     *
     * @param beta1 decay of the mean of gradients
     * @param beta2 decay of the mean of squared gradients
     * @param epsilon added to the root of the latter
     */
    public record Settings(double beta1, double beta2, double epsilon) {}

    private record Slot(NDArray parameter, double rate, double weightDecay, NDArray mean, NDArray square) {}

    /** One worker's copies of a tile: Java's compiler vectorizes loops over arrays, not over buffers. */
    private static final class Tile {
        private final float[] parameter = new float[TILE];
        private final float[] gradient = new float[TILE];
        private final float[] mean = new float[TILE];
        private final float[] square = new float[TILE];
    }

    public AdamW(Settings settings) {
        this.settings = settings;
    }

    /**
     * Adds a parameter.
     *
     * @param name of its moments in {@link #state}
     * @param parameter float32, contiguous, with a gradient
     * @param weightDecay share of the value that is taken away per step and unit of learning rate
     * @param manager that owns the moments
     */
    public void add(String name, NDArray parameter, double weightDecay, NDManager manager) {
        add(name, parameter, 1, weightDecay, manager);
    }

    /**
     * Adds a parameter with its own learning rate.
     *
     * @param rate factor of a step's learning rate
     */
    public void add(String name, NDArray parameter, double rate, double weightDecay, NDManager manager) {
        slots.put(
                name,
                new Slot(
                        parameter,
                        rate,
                        weightDecay,
                        manager.zeros(parameter.getShape()),
                        manager.zeros(parameter.getShape())));
    }

    /** The moments by name, {@code mean/NAME} and {@code square/NAME}: to be saved, or filled with saved values. */
    public Map<String, NDArray> state() {
        Map<String, NDArray> state = new LinkedHashMap<>();
        slots.forEach((name, slot) -> {
            state.put("mean/" + name, slot.mean());
            state.put("square/" + name, slot.square());
        });
        return state;
    }

    /** Steps taken so far. */
    public int steps() {
        return steps;
    }

    /** Continues after the given number of steps, with the moments in {@link #state}. */
    public void resumeAt(int stepsTaken) {
        steps = stepsTaken;
    }

    /** Returns the euclidean norm of all gradients together. */
    public double gradientNorm() {
        double sum = 0;
        for (Slot slot : slots.values()) {
            try (NDArray gradient = slot.parameter().getGradient()) {
                sum += NativeFloats.sumOfSquares(gradient);
            }
        }
        return Math.sqrt(sum);
    }

    /**
     * Updates every parameter and sets its gradient to zero.
     *
     * @param learningRate of this step
     * @param gradientFactor factor of gradients, applied first: clipping, or a mean over accumulated batches
     */
    public void step(double learningRate, double gradientFactor) {
        steps++;
        float squareFactor = (float) (1 / Math.sqrt(1 - Math.pow(settings.beta2(), steps)));
        for (Slot slot : slots.values()) {
            double rate = learningRate * slot.rate();
            float stepSize = (float) (rate / (1 - Math.pow(settings.beta1(), steps)));
            float keep = (float) (1 - rate * slot.weightDecay());
            try (NDArray gradient = slot.parameter().getGradient()) {
                move(slot, gradient, (float) gradientFactor, stepSize, squareFactor, keep);
            }
        }
    }

    private void move(Slot slot, NDArray gradient, float factor, float stepSize, float squareFactor, float keep) {
        FloatBuffer parameters = NativeFloats.writableWindow(slot.parameter());
        FloatBuffer gradients = NativeFloats.writableWindow(gradient);
        FloatBuffer means = NativeFloats.window(slot.mean());
        FloatBuffer squares = NativeFloats.window(slot.square());
        float beta1 = (float) settings.beta1();
        float rest1 = (float) (1 - settings.beta1());
        float beta2 = (float) settings.beta2();
        float rest2 = (float) (1 - settings.beta2());
        float epsilon = (float) settings.epsilon();
        float[] zeros = new float[TILE];
        int tiles = (parameters.capacity() + TILE - 1) / TILE;
        Parallel.forEach(tiles, Tile::new, (tile, index) -> {
            int from = index * TILE;
            int count = Math.min(TILE, parameters.capacity() - from);
            parameters.get(from, tile.parameter, 0, count);
            gradients.get(from, tile.gradient, 0, count);
            means.get(from, tile.mean, 0, count);
            squares.get(from, tile.square, 0, count);
            float[] p = tile.parameter;
            float[] g = tile.gradient;
            float[] m = tile.mean;
            float[] v = tile.square;
            for (int i = 0; i < count; i++) {
                float scaled = g[i] * factor;
                m[i] = beta1 * m[i] + rest1 * scaled;
                v[i] = beta2 * v[i] + rest2 * scaled * scaled;
                p[i] = p[i] * keep - stepSize * m[i] / ((float) Math.sqrt(v[i]) * squareFactor + epsilon);
            }
            parameters.put(from, p, 0, count);
            means.put(from, m, 0, count);
            squares.put(from, v, 0, count);
            gradients.put(from, zeros, 0, count);
        });
    }
}
