package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.model.Linear;
import java.io.IOException;
import java.util.Map;

/**
 * The error of a linear's output. The mean square of {@code x Eᵀ} over all tokens is the mean over rows {@code e} of
 * {@code e H eᵀ}, {@code H} the Hessian of the input: the samples themselves are not needed for it.
 */
final class LinearError implements OutputError {
    private final Linear linear;
    private final NDManager manager;
    private final NDArray hessian;

    /** Takes the Hessian from statistics. */
    LinearError(NDManager owner, Linear linear, ActivationStatistics statistics) throws IOException {
        this.linear = linear;
        this.manager = owner.newSubManager();
        this.hessian = statistics.matrix(manager, linear.spec(), Statistic.HESSIAN);
    }

    @Override
    public double of(Map<String, NDArray> weights) throws IOException {
        NDArray other = weights.get(linear.spec().path());
        if (other == null) {
            return 0;
        }
        try (NDArray error = linear.weight().sub(other)) {
            return GptqSolver.loss(error, hessian);
        }
    }

    @Override
    public void close() {
        manager.close();
    }
}
