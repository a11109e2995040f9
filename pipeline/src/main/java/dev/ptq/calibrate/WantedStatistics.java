package dev.ptq.calibrate;

import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Which statistics are to be taken of which inputs: of all, so that experiments can share them, but for the matrices,
 * which are large.
 *
 * @param matrixInputs the inputs whose matrices are taken; absent for all
 */
public record WantedStatistics(List<Statistic> kinds, Optional<List<String>> matrixInputs) {
    public WantedStatistics {
        kinds = kinds.stream().sorted().toList();
        matrixInputs = matrixInputs.map(List::copyOf);
    }

    /** Of every input. */
    public static WantedStatistics ofEvery(Set<Statistic> kinds) {
        return new WantedStatistics(List.copyOf(kinds), Optional.empty());
    }

    /**
     * Matrices for some linears, all else of every input.
     *
     * @param linears of the whole model
     * @param matrices says for which of these a matrix is wanted
     */
    public static WantedStatistics of(Set<Statistic> kinds, List<LinearSpec> linears, Predicate<LinearSpec> matrices) {
        Set<String> all = new LinkedHashSet<>();
        Set<String> some = new LinkedHashSet<>();
        for (LinearSpec linear : linears) {
            String input = ActivationStatistics.input(linear.block(), linear.hookPoint());
            all.add(input);
            if (matrices.test(linear)) {
                some.add(input);
            }
        }
        boolean every = some.equals(all) || kinds.stream().noneMatch(Statistic::isMatrix);
        return new WantedStatistics(List.copyOf(kinds), every ? Optional.empty() : Optional.of(List.copyOf(some)));
    }

    /** Whether there are none. */
    public boolean isEmpty() {
        return kinds.isEmpty();
    }

    /** Those of one input. */
    public List<Statistic> of(int block, HookPoint hookPoint) {
        boolean matrices = matrixInputs
                .map(inputs -> inputs.contains(ActivationStatistics.input(block, hookPoint)))
                .orElse(true);
        return kinds.stream().filter(kind -> matrices || !kind.isMatrix()).toList();
    }
}
