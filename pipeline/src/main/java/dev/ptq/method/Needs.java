package dev.ptq.method;

import dev.ptq.calibrate.Statistic;
import java.util.Optional;
import java.util.Set;

/**
 * The inputs a method needs before it can work on a block.
 *
 * @param statistics of the inputs of the linears it works on
 * @param inputs that these are taken from
 * @param training how it learns from the calibration samples themselves; absent where it does not
 * @param samples whether it lets the samples run through blocks of its own making
 */
public record Needs(Set<Statistic> statistics, Inputs inputs, Optional<Training> training, boolean samples) {
    public Needs {
        statistics = Set.copyOf(statistics);
    }

    /** Needs the samples for statistics, and for training if it learns. */
    Needs(Set<Statistic> statistics, Inputs inputs, Optional<Training> training) {
        this(statistics, inputs, training, false);
    }

    /** Needs statistics of the full-precision model only. */
    public static Needs of(Set<Statistic> statistics) {
        return new Needs(statistics, Inputs.FULL_PRECISION, Optional.empty());
    }

    /** Returns whether the calibration samples must reach the block through the finished blocks before it. */
    public boolean quantizedPath() {
        return training.isPresent() || (inputs != Inputs.FULL_PRECISION && !statistics.isEmpty());
    }

    /** Returns whether it needs calibration. */
    public boolean calibration() {
        return training.isPresent() || !statistics.isEmpty();
    }
}
