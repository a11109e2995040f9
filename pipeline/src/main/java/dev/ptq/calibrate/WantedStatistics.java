package dev.ptq.calibrate;

import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * The statistics to take of each module input: of all inputs of linears, so that experiments can share them, except for the
 * matrices, which are large; and of what enters a cache only those that are asked for there.
 *
 * @param matrixInputs the inputs whose matrices are taken; absent for all
 * @param allTokens whether those of an expert are taken of all tokens, not just of those that a router sends to it
 * @param cache those of caches, the same in all blocks
 */
public record WantedStatistics(
        List<Statistic> kinds,
        Optional<List<String>> matrixInputs,
        boolean allTokens,
        @OmittedIfEmpty List<OfCache> cache) {
    /** Statistics of what enters the cache at a hook point. */
    public record OfCache(HookPoint hookPoint, List<Statistic> kinds) {
        public OfCache {
            kinds = kinds.stream().sorted().toList();
            if (!hookPoint.isOfCache()) {
                throw new IllegalArgumentException("nothing enters a cache at " + hookPoint.label());
            }
        }
    }

    public WantedStatistics {
        kinds = kinds.stream().sorted().toList();
        matrixInputs = matrixInputs.map(List::copyOf);
        cache = List.copyOf(cache);
    }

    /** Returns statistics of every input of a linear. */
    public static WantedStatistics ofEvery(Set<Statistic> kinds) {
        return new WantedStatistics(List.copyOf(kinds), Optional.empty(), false, List.of());
    }

    /**
     * Returns matrices for some linears and all other statistics for every input.
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
        return new WantedStatistics(
                List.copyOf(kinds), every ? Optional.empty() : Optional.of(List.copyOf(some)), false, List.of());
    }

    /** The same, experts by all tokens or not. */
    public WantedStatistics withAllTokens(boolean all) {
        return new WantedStatistics(kinds, matrixInputs, all, cache);
    }

    /** The same, with those of caches. */
    public WantedStatistics withCache(List<OfCache> wanted) {
        return new WantedStatistics(kinds, matrixInputs, allTokens, wanted);
    }

    /** Returns whether no statistics are wanted. */
    public boolean isEmpty() {
        return kinds.isEmpty() && cache.isEmpty();
    }

    /** Returns the statistics of one input. */
    public List<Statistic> of(int block, HookPoint hookPoint) {
        if (hookPoint.isOfCache()) {
            return cache.stream()
                    .filter(own -> own.hookPoint().equals(hookPoint))
                    .flatMap(own -> own.kinds().stream())
                    .toList();
        }
        boolean matrices = matrixInputs
                .map(inputs -> inputs.contains(ActivationStatistics.input(block, hookPoint)))
                .orElse(true);
        return kinds.stream()
                .filter(kind -> kind.isOf(hookPoint) && (matrices || !kind.isMatrix()))
                .toList();
    }
}
