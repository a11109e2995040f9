package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.List;

/** How the weight of one linear is put on the grid of its format. */
interface WeightRounding extends Learned {
    /** Returns the rounded weight, {@code [outFeatures, inFeatures]}; differentiable in weight and parameters. */
    NDArray round(NDArray weight);

    /** To the nearest value. */
    static WeightRounding nearest(NumberFormat format) {
        return new WeightRounding() {
            @Override
            public NDArray round(NDArray weight) {
                return format.isNone() ? weight : format.differentiable(weight, Operand.WEIGHT);
            }

            @Override
            public List<Parameter> parameters() {
                return List.of();
            }
        };
    }
}
