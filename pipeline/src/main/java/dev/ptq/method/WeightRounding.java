package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.List;
import java.util.Optional;

/** The rounding of one linear's weight to its format's grid. */
interface WeightRounding extends Learned {
    /** Returns the rounded weight, {@code [outFeatures, inFeatures]}; differentiable in weight and parameters. */
    NDArray round(NDArray weight);

    /**
     * Returns the grid with exactly the values of {@link #round}, but for the sign of zeros rounded to nearest; empty
     * where the weight stays in float32.
     *
     * @param weight float32, as are the parameters
     */
    Optional<Grid> grid(NDArray weight);

    /** Rounds to nearest. */
    static WeightRounding nearest(NumberFormat format) {
        return new WeightRounding() {
            @Override
            public NDArray round(NDArray weight) {
                return format.isNone() ? weight : format.differentiable(weight, Operand.WEIGHT);
            }

            @Override
            public Optional<Grid> grid(NDArray weight) {
                return format.fit(weight, Operand.WEIGHT);
            }

            @Override
            public List<Parameter> parameters() {
                return List.of();
            }
        };
    }
}
