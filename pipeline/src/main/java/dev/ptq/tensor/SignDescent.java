package dev.ptq.tensor;

import ai.djl.ndarray.NDArray;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/** Descent by the sign of the gradient, without momentum: {@code parameter -= rate · sign(gradient)}. It has no state. */
public final class SignDescent {
    private static final int TILE = 1 << 12;

    private final List<Slot> slots = new ArrayList<>();

    private record Slot(NDArray parameter, double rate) {}

    /** One worker's copies of a tile: Java's compiler vectorizes loops over arrays, not over buffers. */
    private static final class Tile {
        private final float[] parameter = new float[TILE];
        private final float[] gradient = new float[TILE];
    }

    /**
     * Adds a parameter.
     *
     * @param parameter float32, contiguous, with a gradient
     * @param rate factor of a step's learning rate
     */
    public void add(NDArray parameter, double rate) {
        slots.add(new Slot(parameter, rate));
    }

    /**
     * Updates every parameter and sets its gradient to zero. Where the gradient is zero the parameter stays, and where it
     * is NaN it becomes NaN.
     */
    public void step(double learningRate) {
        for (Slot slot : slots) {
            try (NDArray gradient = slot.parameter().getGradient()) {
                move(slot.parameter(), gradient, (float) (learningRate * slot.rate()));
            }
        }
    }

    private static void move(NDArray parameter, NDArray gradient, float size) {
        FloatBuffer parameters = NativeFloats.writableWindow(parameter);
        FloatBuffer gradients = NativeFloats.writableWindow(gradient);
        float[] zeros = new float[TILE];
        int tiles = (parameters.capacity() + TILE - 1) / TILE;
        Parallel.forEach(tiles, Tile::new, (tile, index) -> {
            int from = index * TILE;
            int count = Math.min(TILE, parameters.capacity() - from);
            parameters.get(from, tile.parameter, 0, count);
            gradients.get(from, tile.gradient, 0, count);
            for (int i = 0; i < count; i++) {
                tile.parameter[i] -= size * Math.signum(tile.gradient[i]);
            }
            parameters.put(from, tile.parameter, 0, count);
            gradients.put(from, zeros, 0, count);
        });
    }
}
