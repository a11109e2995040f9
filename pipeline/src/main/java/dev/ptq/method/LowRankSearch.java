package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.Torch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Splits the weights of linears with one input into a rounded and a low-rank part, {@code W ≈ Q + (A B)ᵀ}, with one
 * {@code A} for all of them. The first split takes a part of some rank off the weight, rounds the rest, and spends the
 * remaining rank on the error. Further ones round the weight less all of the low-rank part, and then take the best
 * low-rank part of what the rounded weight lacks; the best split is kept. Sources: QERA (ICLR 2025), SVDQuant (ICLR 2025),
 * SRR (ICML 2026), LoftQ (ICLR 2024), CALDERA (NeurIPS 2024), GlowQ (2026).
 */
final class LowRankSearch {
    /** Rounds what is left of a weight. */
    @FunctionalInterface
    interface Rounding {
        /**
         * Rounds.
         *
         * @param index of the weight
         * @param rest {@code [outFeatures, inFeatures]}
         */
        NDArray rounded(int index, NDArray rest);
    }

    /** Factors as they run: {@code A [inFeatures, rank]}, and {@code B [rank, outFeatures]} of each weight. */
    static final class Factors {
        private final NDArray a;
        private final List<NDArray> b;

        private Factors(NDArray a, List<NDArray> b) {
            this.a = a;
            this.b = b;
        }

        NDArray a() {
            return a;
        }

        NDArray b(int index) {
            return b.get(index);
        }

        int rank() {
            return Math.toIntExact(a.size(1));
        }

        /** {@code (A B)ᵀ} of a weight, {@code [outFeatures, inFeatures]}. */
        NDArray product(int index) {
            return a.matMul(b.get(index)).transpose(1, 0);
        }

        private NDArray joined() {
            return NDArrays.concat(new NDList(b), 1);
        }

        private void attach(NDManager manager) {
            a.attach(manager);
            b.forEach(each -> each.attach(manager));
        }
    }

    /** A split; {@link #costs} are those of what neither part has. */
    static final class Split {
        private final Optional<Factors> before;
        private final Factors path;
        private final double[] costs;
        private final int ofWeight;
        private final int step;
        private final Optional<LowRankSolver.Solution> solution;

        private Split(
                Optional<Factors> before,
                Factors path,
                double[] costs,
                int ofWeight,
                int step,
                Optional<LowRankSolver.Solution> solution) {
            this.before = before;
            this.path = path;
            this.costs = costs;
            this.ofWeight = ofWeight;
            this.step = step;
            this.solution = solution;
        }

        /** What is taken off the weights before they are rounded. */
        Optional<Factors> before() {
            return before;
        }

        /** The whole low-rank part, which runs beside them. */
        Factors path() {
            return path;
        }

        /** {@code ||S E||²} of each weight; none of them if nothing was measured. */
        double[] costs() {
            return costs;
        }

        double cost() {
            return Arrays.stream(costs).sum();
        }

        /** The rank that went to the weight before the first rounding. */
        int ofWeight() {
            return ofWeight;
        }

        /** How often the split was repeated to get here. */
        int step() {
            return step;
        }

        /** The solver's, of a first split into two parts. */
        Optional<LowRankSolver.Solution> solution() {
            return solution;
        }

        void attach(NDManager manager) {
            before.ifPresent(factors -> factors.attach(manager));
            path.attach(manager);
            solution.flatMap(LowRankSolver.Solution::singularValues).ifPresent(values -> values.attach(manager));
        }
    }

    /** The first split and the best one. */
    record Found(Split first, Split best) {}

    private final NDManager owner;
    private final LowRankCorrection correction;
    private final boolean refit;
    private final ErrorMetric metric;
    private final Rounding rounding;
    private final long seed;
    private final List<NDArray> weights;
    private final List<NDArray> unclipped;
    private final List<NDArray> errors;
    private final boolean measures;

    /**
     * Prepares a search.
     *
     * @param owner of what is found
     * @param refit whether {@code B} is fitted to {@code A} as it was rounded
     * @param weights that are rounded, {@code [outFeatures, inFeatures]} each
     * @param unclipped what they stand for: themselves, unless they were clipped
     * @param errors what is lacking in them as they are rounded without a low-rank part
     * @param measures whether splits have costs
     */
    LowRankSearch(
            NDManager owner,
            LowRankCorrection correction,
            boolean refit,
            ErrorMetric metric,
            Rounding rounding,
            long seed,
            List<NDArray> weights,
            List<NDArray> unclipped,
            List<NDArray> errors,
            boolean measures) {
        this.owner = owner;
        this.correction = correction;
        this.refit = refit;
        this.metric = metric;
        this.rounding = rounding;
        this.seed = seed;
        this.weights = weights;
        this.unclipped = unclipped;
        this.errors = errors;
        this.measures = measures;
    }

    /**
     * Searches.
     *
     * @param steps how often the split is repeated
     */
    Found run(int rank, int steps) {
        Split first = first(rank);
        Split best = first;
        Split last = first;
        for (int step = 1; step <= steps; step++) {
            Split from = last;
            int count = step;
            last = apart(() -> ofWeight() ? nextOfWeight(from, count) : nextOfError(from, count));
            best = last.cost() < best.cost() ? last : best;
        }
        return new Found(first, best);
    }

    private boolean ofWeight() {
        return correction.of() == LowRankCorrection.Of.WEIGHT;
    }

    private Split first(int rank) {
        return switch (correction.of()) {
            case ERROR -> apart(() -> ofErrors(rank));
            case WEIGHT -> apart(() -> ofWeights(rank));
            case BOTH -> ofBoth(rank);
        };
    }

    /** Runs a step and frees all but the split. */
    private Split apart(Supplier<Split> step) {
        try (NDManager scratch = owner.newSubManager()) {
            borrow(scratch);
            Split split = step.get();
            split.attach(owner);
            return split;
        }
    }

    private void borrow(NDManager scratch) {
        Set<NDArray> shared = Collections.newSetFromMap(new IdentityHashMap<>());
        shared.addAll(weights);
        shared.addAll(unclipped);
        shared.addAll(errors);
        shared.forEach(tensor -> tensor.tempAttach(scratch));
        metric.lend(scratch);
    }

    private Split ofErrors(int rank) {
        NDArray target = stacked(errors);
        LowRankSolver.Solution solution = metric.solve(correction.solver(), target, rank, seed);
        Factors path = rounded(solution.a(), solution.b(), target);
        return new Split(Optional.empty(), path, costs(errors, path), 0, 0, Optional.of(solution));
    }

    private Split ofWeights(int rank) {
        NDArray target = stacked(weights);
        LowRankSolver.Solution solution = metric.solve(correction.solver(), target, rank, seed);
        Factors path = rounded(solution.a(), solution.b(), target);
        return new Split(Optional.of(path), path, costsOfRest(path), rank, 0, Optional.of(solution));
    }

    /** Tries {@code 0, r / 4, r / 2, 3 r / 4} and {@code r} of the rank for the weight, and the rest for the error. */
    private Split ofBoth(int rank) {
        try (NDManager scratch = owner.newSubManager()) {
            Split best = apart(() -> ofErrors(rank));
            NDArray target;
            LowRankSolver.Solution whole;
            try (NDManager solving = scratch.newSubManager()) {
                borrow(solving);
                target = stacked(weights);
                whole = metric.solve(correction.solver(), target, rank, seed);
                target.attach(scratch);
                whole.a().attach(scratch);
                whole.b().attach(scratch);
            }
            for (int share : new TreeSet<>(List.of(rank / 4, rank / 2, 3 * rank / 4, rank))) {
                if (share > 0) {
                    Split tried = apart(() -> ofBoth(target, whole, share, rank));
                    best = tried.cost() < best.cost() ? tried : best;
                }
            }
            return best;
        }
    }

    private Split ofBoth(NDArray target, LowRankSolver.Solution whole, int share, int rank) {
        Factors before =
                rounded(whole.a().get(new NDIndex(":, :{}", share)), whole.b().get(new NDIndex(":{}", share)), target);
        List<NDArray> lacking = new ArrayList<>();
        List<NDArray> left = new ArrayList<>();
        for (int i = 0; i < weights.size(); i++) {
            NDArray product = before.product(i);
            NDArray quantized = rounding.rounded(i, weights.get(i).sub(product));
            lacking.add(unclipped.get(i).sub(quantized));
            left.add(lacking.get(i).sub(product));
        }
        Factors path = before;
        if (share < rank) {
            LowRankSolver.Solution rest = metric.solve(correction.solver(), stacked(left), rank - share, seed);
            path = rounded(
                    NDArrays.concat(new NDList(before.a(), rest.a()), 1),
                    NDArrays.concat(new NDList(before.joined(), rest.b()), 0),
                    stacked(lacking));
        }
        return new Split(Optional.of(before), path, costs(lacking, path), share, 0, Optional.empty());
    }

    /** Rounds what the low-rank part leaves, and takes the best low-rank part of what is lacking then. */
    private Split nextOfError(Split from, int step) {
        List<NDArray> lacking = lacking(unclipped, from.path());
        Factors path = fitted(lacking, from.path().rank());
        return new Split(Optional.of(from.path()), path, costs(lacking, path), from.ofWeight(), step, Optional.empty());
    }

    /** The same, but what counts is how the rest is rounded that the new part leaves. */
    private Split nextOfWeight(Split from, int step) {
        Factors path = fitted(lacking(weights, from.path()), from.path().rank());
        return new Split(Optional.of(path), path, costsOfRest(path), from.ofWeight(), step, Optional.empty());
    }

    private List<NDArray> lacking(List<NDArray> of, Factors path) {
        List<NDArray> lacking = new ArrayList<>();
        for (int i = 0; i < of.size(); i++) {
            lacking.add(of.get(i).sub(rounding.rounded(i, of.get(i).sub(path.product(i)))));
        }
        return lacking;
    }

    private Factors fitted(List<NDArray> errors, int rank) {
        NDArray target = stacked(errors);
        LowRankSolver.Solution solution = metric.solve(correction.solver(), target, rank, seed);
        return rounded(solution.a(), solution.b(), target);
    }

    /** Rounds factors; each {@code B} for itself, as it is stored. */
    private Factors rounded(NDArray a, NDArray b, NDArray target) {
        NumberFormat format = correction.factor();
        NDArray left = format.fakeQuantize(a, Operand.FACTOR);
        NDArray right = refit ? metric.fitted(target, left) : b;
        List<NDArray> parts = new ArrayList<>();
        long from = 0;
        for (NDArray weight : weights) {
            long to = from + weight.size(0);
            NDArray part = weights.size() == 1 ? right : Torch.contiguous(right.get(new NDIndex(":, {}:{}", from, to)));
            parts.add(format.fakeQuantize(part, Operand.FACTOR));
            from = to;
        }
        return new Factors(left, parts);
    }

    /** What factors leave of errors. */
    private double[] costs(List<NDArray> of, Factors path) {
        return measures ? costs(of.size(), i -> of.get(i).sub(path.product(i))) : new double[0];
    }

    /** What rounding leaves of what factors leave of the weights. */
    private double[] costsOfRest(Factors path) {
        return measures
                ? costs(weights.size(), i -> {
                    NDArray rest = weights.get(i).sub(path.product(i));
                    return rest.sub(rounding.rounded(i, rest));
                })
                : new double[0];
    }

    /** An error by its index, {@code [outFeatures, inFeatures]}. */
    @FunctionalInterface
    private interface Errors {
        NDArray of(int index);
    }

    private double[] costs(int count, Errors left) {
        double[] costs = new double[count];
        for (int i = 0; i < count; i++) {
            try (NDManager scratch = owner.newSubManager()) {
                NDArray error = left.of(i).transpose(1, 0);
                error.attach(scratch);
                costs[i] = metric.cost(correction.solver(), error);
            }
        }
        return costs;
    }

    /** Puts errors side by side along output features, {@code [inFeatures, Σ outFeatures]}. */
    static NDArray stacked(List<NDArray> errors) {
        NDList turned = new NDList();
        errors.forEach(error -> turned.add(error.transpose(1, 0)));
        return turned.size() == 1 ? turned.get(0) : NDArrays.concat(turned, 1);
    }
}
