package dev.ptq.tensor;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import java.util.SplittableRandom;

/**
 * Gradient descent on orthogonal matrices: a step follows the gradient's direction along them by a Cayley transform, which
 * is found by iteration. Source: Li et al., Efficient Riemannian optimization on the Stiefel manifold via the Cayley
 * transform (ICLR 2020), as SpinQuant uses it.
 */
public final class CayleySgd {
    private static final int ITERATIONS = 5;
    /** One step in so many makes the matrix orthogonal again. */
    private static final int BETWEEN_RETRACTIONS = 101;

    private CayleySgd() {}

    /**
     * Returns the matrix after a step, {@code [n, n]} float32, attached to {@code manager}.
     *
     * @param matrix orthogonal to rounding, float32
     * @param gradient of the loss, float32
     * @param rate upper bound of the length of the step
     * @param random draws the steps that make the matrix orthogonal again
     */
    public static NDArray step(
            NDManager manager, NDArray matrix, NDArray gradient, double rate, SplittableRandom random) {
        try (NDManager scratch = manager.newSubManager()) {
            NDArray x = exact(scratch, matrix);
            x = x.div(x.square().sum(new int[] {1}, true).sqrt());
            if (random.nextInt(BETWEEN_RETRACTIONS) == 0) {
                x = retracted(x);
            }
            NDArray columns = x.transpose(1, 0);
            NDArray v = exact(scratch, gradient).transpose(1, 0).neg();
            NDArray vx = v.matMul(x);
            NDArray half = vx.sub(columns.matMul(x.matMul(vx)).mul(0.5));
            NDArray skew = half.sub(half.transpose(1, 0));
            double norm = skew.abs().sum(new int[] {0}).max().getDouble();
            double length = Math.min(rate, 1 / (norm + 1e-8));
            NDArray y = columns.add(v.mul(length));
            for (int i = 0; i < ITERATIONS; i++) {
                y = columns.add(skew.matMul(columns.add(y)).mul(length / 2));
            }
            return single(manager, y.transpose(1, 0));
        }
    }

    /** Returns the orthogonal factor of a matrix, float32, attached to {@code manager}. */
    public static NDArray orthogonal(NDManager manager, NDArray matrix) {
        try (NDManager scratch = manager.newSubManager()) {
            return single(manager, retracted(exact(scratch, matrix)));
        }
    }

    private static NDArray retracted(NDArray matrix) {
        NDList factors = Torch.qr(matrix);
        return factors.get(0).mul(factors.get(1).diagonal().sign());
    }

    private static NDArray exact(NDManager scratch, NDArray values) {
        NDArray exact = values.toType(DataType.FLOAT64, true);
        exact.attach(scratch);
        return exact;
    }

    private static NDArray single(NDManager manager, NDArray values) {
        NDArray single = Torch.contiguous(values).toType(DataType.FLOAT32, true);
        single.attach(manager);
        return single;
    }
}
