package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import java.nio.ByteBuffer;
import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;

/** Gradients against central differences, in float64. */
final class GradientCheck {
    private static final double STEP = 1e-5;

    /** So many values of a variable, drawn at random, are moved, beside that with the largest gradient. */
    private static final int DRAWN = 24;

    private GradientCheck() {}

    /**
     * Compares.
     *
     * @param variables float64, contiguous
     * @param function of them, a scalar; what it makes belongs to the manager that it is given
     */
    static void check(
            NDManager manager, List<NDArray> variables, Function<NDManager, NDArray> function, double tolerance) {
        List<double[]> gradients = gradients(manager, variables, function);
        for (int v = 0; v < variables.size(); v++) {
            DoubleBuffer window = variables.get(v).toByteBuffer(true).asDoubleBuffer();
            int[] moved = moved(gradients.get(v));
            double[] differences = new double[window.capacity()];
            double largest = 0;
            for (int i : moved) {
                double value = window.get(i);
                window.put(i, value + STEP);
                double above = value(manager, function);
                window.put(i, value - STEP);
                double below = value(manager, function);
                window.put(i, value);
                differences[i] = (above - below) / (2 * STEP);
                largest = Math.max(largest, Math.abs(differences[i]));
            }
            assertThat(largest).as("variable %d matters", v).isPositive();
            for (int i : moved) {
                assertThat(Math.abs(gradients.get(v)[i] - differences[i]) / largest)
                        .as(
                                "variable %d, value %d: %s, by differences %s",
                                v, i, gradients.get(v)[i], differences[i])
                        .isLessThan(tolerance);
            }
        }
    }

    private static int[] moved(double[] gradient) {
        int steepest = 0;
        for (int i = 1; i < gradient.length; i++) {
            steepest = Math.abs(gradient[i]) > Math.abs(gradient[steepest]) ? i : steepest;
        }
        IntStream drawn = gradient.length <= DRAWN
                ? IntStream.range(0, gradient.length)
                : new SplittableRandom(gradient.length).ints(DRAWN, 0, gradient.length);
        return IntStream.concat(drawn, IntStream.of(steepest)).distinct().toArray();
    }

    /** Gradients, with Java's memory collected and written over between the two passes. */
    static List<double[]> gradients(NDManager manager, List<NDArray> variables, Function<NDManager, NDArray> function) {
        variables.forEach(variable -> variable.setRequiresGradient(true));
        try (NDManager scratch = manager.newSubManager();
                GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            NDArray loss = function.apply(scratch);
            churn();
            collector.backward(loss);
        }
        List<double[]> gradients = new ArrayList<>();
        for (NDArray variable : variables) {
            try (NDArray gradient = variable.getGradient()) {
                gradients.add(gradient.toDoubleArray());
            }
            variable.setRequiresGradient(false);
        }
        return gradients;
    }

    private static void churn() {
        System.gc();
        for (int i = 0; i < 200; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(8 << (i % 8));
            while (buffer.hasRemaining()) {
                buffer.put((byte) 0xc3);
            }
        }
    }

    private static double value(NDManager manager, Function<NDManager, NDArray> function) {
        try (NDManager scratch = manager.newSubManager()) {
            return function.apply(scratch).toDoubleArray()[0];
        }
    }
}
