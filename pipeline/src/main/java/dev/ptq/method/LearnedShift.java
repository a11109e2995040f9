package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Grid;
import dev.ptq.format.ShiftedIntegers;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Rounding with a learned shift of each weight, at most half a step either way, and a learned range of each group: from
 * {@code lower · min} to {@code upper · max}, with factors from 0 to 1. Starts at rounding to nearest. Source: SignRound
 * (EMNLP 2024 Findings).
 */
final class LearnedShift implements WeightRounding {
    private static final float HALF_A_STEP = 0.5f;

    private final ShiftedIntegers integers;
    private final Parameter upper;
    private final Parameter lower;
    private final Parameter shift;

    /**
     * Starts without shifts, and with whole ranges.
     *
     * @param manager that owns the parameters: the factors of ranges, {@code [outFeatures, groups]}, and the shifts,
     *     {@code [outFeatures, inFeatures]}
     */
    LearnedShift(NDManager manager, LinearSpec linear, ShiftedIntegers integers, double rangeRate, double rate) {
        this.integers = integers;
        Shape weight = new Shape(linear.outFeatures(), linear.inFeatures());
        Shape groups = integers.groups(weight);
        upper = new Parameter(linear.path() + ".upper", manager.ones(groups), rangeRate);
        lower = new Parameter(linear.path() + ".lower", manager.ones(groups), rangeRate);
        shift = new Parameter(linear.path() + ".shift", manager.zeros(weight), rate);
    }

    @Override
    public NDArray round(NDArray weight) {
        return integers.round(weight, upper.tensor(), lower.tensor(), shift.tensor());
    }

    @Override
    public Optional<Grid> grid(NDArray weight) {
        return Optional.of(integers.grid(weight, upper.tensor(), lower.tensor(), shift.tensor()));
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(upper, lower, shift);
    }

    @Override
    public void project() {
        clamp(upper, 0, 1);
        clamp(lower, 0, 1);
        clamp(shift, -HALF_A_STEP, HALF_A_STEP);
    }

    private static void clamp(Parameter parameter, float least, float most) {
        FloatBuffer values = NativeFloats.writableWindow(parameter.tensor());
        for (int i = 0; i < values.capacity(); i++) {
            values.put(i, Math.min(Math.max(values.get(i), least), most));
        }
    }
}
