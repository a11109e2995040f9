package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.ColumnRounding;
import dev.ptq.format.NumberFormat;
import java.io.IOException;

/** GPTQ of one weight, for benchmarks. */
public final class GptqTimes {
    private static final GptqSolver SOLVER =
            new GptqSolver(GptqSolver.Order.NONE, GptqSolver.Groups.STATIC, 0.01, 128, false);

    private GptqTimes() {}

    /**
     * Prepares a Hessian and rounds a weight.
     *
     * @return the mean square of the error of an output
     */
    public static double round(NDArray weight, NDArray hessian, NumberFormat format) throws IOException {
        try (NDManager scratch = weight.getManager().newSubManager()) {
            GptqSolver.Input input = SOLVER.prepare(
                            scratch, hessian, ColumnRounding.groupColumns(format, weight.getShape()))
                    .orElseThrow();
            return SOLVER.round(weight, format, input).loss();
        }
    }
}
