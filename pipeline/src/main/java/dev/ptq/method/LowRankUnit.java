package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.method.LowRankCorrection.Metric;
import dev.ptq.method.LowRankCorrection.Of;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.LowRankFormats;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/** The linears that a {@link LowRankDecomposition} works on together: one, or those with one input. */
final class LowRankUnit {
    private final LowRankDecomposition step;
    private final LowRankCorrection correction;
    private final BlockContext context;
    private final List<Linear> linears;
    private final List<NumberFormat> formats;
    private final Optional<ActivationStatistics> statistics;
    private final List<BlockContext.LayerReport> reports = new ArrayList<>();
    private final List<SingularValues> singularValues = new ArrayList<>();
    private LowRankSearch.@Nullable Split found;

    /** All singular values of a linear's target, in the metric and as it is. */
    private record SingularValues(NDArray scaled, NDArray unscaled) {}

    /** Takes linears with the formats that their weights have now. */
    LowRankUnit(
            LowRankDecomposition step,
            BlockContext context,
            List<Linear> linears,
            Optional<ActivationStatistics> statistics) {
        this.step = step;
        this.correction = step.correction();
        this.context = context;
        this.linears = linears;
        this.formats = linears.stream()
                .map(linear -> context.formats().of(linear.spec()).weight())
                .toList();
        this.statistics = statistics;
    }

    /** Number of weights. */
    long size() {
        return linears.stream().mapToLong(linear -> linear.spec().size()).sum();
    }

    /** The linears' places and shapes. */
    List<LinearSpec> specs() {
        return linears.stream().map(Linear::spec).toList();
    }

    private LinearSpec first() {
        return linears.get(0).spec();
    }

    /** The tensors of the linears, which belong to {@code scratch} until that is closed. */
    private final class Lent {
        private final List<NDArray> weights =
                linears.stream().map(Linear::weight).toList();
        private final List<NDArray> unclipped =
                linears.stream().map(context::unclipped).toList();
        private final List<NDArray> errors = new ArrayList<>();
        private final ErrorMetric metric;

        Lent(NDManager scratch) throws IOException {
            for (int i = 0; i < weights.size(); i++) {
                weights.get(i).tempAttach(scratch);
                if (unclipped.get(i) != weights.get(i)) {
                    unclipped.get(i).tempAttach(scratch);
                }
            }
            linears.forEach(linear -> errors.add(context.quantizationError(linear)));
            metric = correction.metric(statistics, first(), scratch, step.name());
        }

        /** What the first factors are made for. */
        NDArray target(int i) {
            return (correction.of() == Of.WEIGHT ? weights : errors).get(i).transpose(1, 0);
        }

        LowRankSearch search(NDManager owner, LowRankCorrection how, List<Integer> some, List<NDArray> ofErrors) {
            return new LowRankSearch(
                    owner,
                    how,
                    step.refit(),
                    metric,
                    (i, rest) -> formats.get(some.get(i)).fakeQuantize(rest, Operand.WEIGHT),
                    context.seed(first()),
                    some.stream().map(weights::get).toList(),
                    some.stream().map(unclipped::get).toList(),
                    ofErrors,
                    !step.isPlain());
        }
    }

    /** What ranks capture of the squared error or weight in the metric, to choose one by. */
    List<Double> energies() throws IOException {
        try (NDManager scratch = context.block().manager().newSubManager()) {
            Lent lent = new Lent(scratch);
            List<NDArray> targets = correction.of() == Of.WEIGHT ? lent.weights : lent.errors;
            float[] values =
                    lent.metric.singularValues(LowRankSearch.stacked(targets)).toFloatArray();
            int most = linears.stream()
                    .mapToInt(linear ->
                            Math.min(linear.spec().inFeatures(), linear.spec().outFeatures()))
                    .min()
                    .orElse(0);
            List<Double> energies = new ArrayList<>();
            for (int i = 0; i < Math.min(values.length, most); i++) {
                energies.add((double) values[i] * values[i]);
            }
            return energies;
        }
    }

    /** Finds the parts; nothing in the block changes before {@link #adopt}. */
    void decompose(int rank) throws IOException {
        long start = System.nanoTime();
        NDManager owner = context.block().manager();
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < linears.size(); i++) {
            all.add(i);
        }
        try (NDManager scratch = owner.newSubManager()) {
            Lent lent = new Lent(scratch);
            if (rank == 0) {
                all.forEach(i -> reports.add(reportOfNothing(lent, i)));
                return;
            }
            LowRankSearch.Found search =
                    lent.search(scratch, correction, all, lent.errors).run(rank, step.alternations());
            requireFinite(search.first());
            found = search.best();
            found.attach(owner);
            for (int i : all) {
                reports.add(report(lent, search, i));
                if (correction.singularValues()) {
                    keepSingularValues(lent, search.first(), i);
                }
            }
        }
        double seconds = (System.nanoTime() - start) / 1e9 / linears.size();
        reports.replaceAll(report -> report.taking(seconds));
    }

    /** Of a weight that gets no path. */
    private BlockContext.LayerReport reportOfNothing(Lent lent, int i) {
        LinearSpec spec = linears.get(i).spec();
        double error = relative(lent.errors.get(i), lent.unclipped.get(i));
        double loss = cost(lent, lent.errors.get(i)) / spec.outFeatures();
        BlockContext.SplitReport split =
                new BlockContext.SplitReport(0, loss, loss, loss, OptionalDouble.empty(), 0, step.alternations());
        return new BlockContext.LayerReport(step.name(), spec, 0, error, error, 0, 1, 0, Optional.of(split));
    }

    private void requireFinite(LowRankSearch.Split split) throws IOException {
        for (int i = 0; i < split.costs().length; i++) {
            if (!Double.isFinite(split.costs()[i])) {
                throw new IOException(linears.get(i).spec().module() + ": " + step.name()
                        + " leaves an error that is NaN or infinite; look at the weight, and at the format of the"
                        + " factors");
            }
        }
    }

    private BlockContext.LayerReport report(Lent lent, LowRankSearch.Found search, int i) throws IOException {
        LowRankSearch.Split best = search.best();
        LinearSpec spec = linears.get(i).spec();
        try (NDManager scratch = context.block().manager().newSubManager()) {
            NDArray weight = lent.weights.get(i);
            NDArray unclipped = lent.unclipped.get(i);
            NDArray lacking;
            NDArray left;
            double before = relative(lent.errors.get(i), unclipped);
            NDArray product = best.path().product(i);
            product.attach(scratch);
            boolean ofWeight = correction.of() == Of.WEIGHT;
            if (ofWeight) {
                lacking = weight.sub(product);
                lacking.attach(scratch);
                left = lacking.sub(formats.get(i).fakeQuantize(lacking, Operand.WEIGHT));
            } else {
                lacking = best.before().isEmpty()
                        ? lent.errors.get(i).duplicate()
                        : unclipped.sub(rounded(best, i, best.step() == 0 ? weight : unclipped));
                lacking.attach(scratch);
                left = lacking.sub(product);
            }
            double after = relative(left, ofWeight ? weight : unclipped);
            double nearest = cost(lent, lent.errors.get(i));
            double share = nearest == 0 ? 1 : cost(lent, left) / nearest;
            if (step.isPlain()) {
                double captured = best.solution().orElseThrow().capturedEnergy();
                return new BlockContext.LayerReport(
                        step.name(), spec, best.path().rank(), before, after, captured, share, 0, Optional.empty());
            }
            double captured =
                    ofWeight ? 1 - ratio(cost(lent, lacking), cost(lent, weight)) : 1 - ratio(best.costs()[i], nearest);
            OptionalDouble separate = linears.size() == 1
                    ? OptionalDouble.empty()
                    : OptionalDouble.of(
                            separateCost(lent, scratch, i, lacking, best.path().rank()) / spec.outFeatures());
            return new BlockContext.LayerReport(
                    step.name(),
                    spec,
                    best.path().rank(),
                    before,
                    after,
                    captured,
                    share,
                    0,
                    Optional.of(new BlockContext.SplitReport(
                            best.ofWeight(),
                            nearest / spec.outFeatures(),
                            search.first().costs()[i] / spec.outFeatures(),
                            best.costs()[i] / spec.outFeatures(),
                            separate,
                            best.step(),
                            step.alternations())));
        }
    }

    private NDArray rounded(LowRankSearch.Split split, int i, NDArray weight) {
        return formats.get(i)
                .fakeQuantize(weight.sub(split.before().orElseThrow().product(i)), Operand.WEIGHT);
    }

    private double cost(Lent lent, NDArray error) {
        return lent.metric.cost(correction.solver(), error.transpose(1, 0));
    }

    private static double ratio(double part, double whole) {
        return whole == 0 ? 0 : part / whole;
    }

    /**
     * The cost with factors of its own: beside the weight as it was rounded, or, where it is rounded later, beside its own
     * rest.
     */
    private double separateCost(Lent lent, NDManager scratch, int i, NDArray lacking, int rank) {
        boolean ofWeight = correction.of() == Of.WEIGHT;
        LowRankSearch search = ofWeight
                ? lent.search(scratch, correction, List.of(i), List.of())
                : lent.search(scratch, correction.with(Of.ERROR), List.of(i), List.of(lacking));
        return search.run(rank, ofWeight ? step.alternations() : 0).best().cost();
    }

    private void keepSingularValues(Lent lent, LowRankSearch.Split first, int i) {
        NDArray target = lent.target(i);
        Optional<NDArray> known = linears.size() == 1
                ? first.solution().flatMap(LowRankSolver.Solution::singularValues)
                : Optional.empty();
        NDArray scaled = known.orElseGet(() -> lent.metric.singularValues(target));
        NDArray unscaled = correction.metric() == Metric.IDENTITY ? scaled : LowRankSolver.singularValues(target);
        scaled.attach(context.block().manager());
        unscaled.attach(context.block().manager());
        singularValues.add(new SingularValues(scaled, unscaled));
    }

    /** Puts the parts into the block. */
    void adopt() {
        for (int i = 0; i < linears.size(); i++) {
            Linear linear = linears.get(i);
            if (found != null) {
                adopt(found, i, linear);
            }
            if (i < singularValues.size()) {
                context.keepSingularValues(
                        linear.spec(),
                        singularValues.get(i).scaled(),
                        singularValues.get(i).unscaled());
            }
            context.report(reports.get(i));
        }
    }

    private void adopt(LowRankSearch.Split split, int i, Linear linear) {
        LowRank path = path(split.path(), i);
        switch (step.phase()) {
            case SPLIT -> context.split(linear, path);
            case CORRECT -> context.correct(linear, path);
            case ROUND -> {
                if (split.before().isPresent()) {
                    round(split, i, linear);
                }
                context.correct(linear, path);
            }
            case ROTATE, TRANSFORM -> throw new IllegalStateException(step.name() + " acts in " + step.phase());
        }
    }

    /** Rounds what is left of a weight after a part was taken off, as the search did. */
    private void round(LowRankSearch.Split split, int i, Linear linear) {
        String place = linear.spec().path();
        if (split.step() > 0) {
            context.unclip(linear);
        }
        context.split(context.block().linear(place), path(split.before().orElseThrow(), i));
        Linear rest = context.block().linear(place);
        formats.get(i).fit(rest.weight(), Operand.WEIGHT).ifPresent(grid -> context.round(rest, grid));
    }

    private LowRank path(LowRankSearch.Factors factors, int i) {
        return new LowRank(
                factors.a(),
                factors.b(i),
                new LowRankFormats(correction.factor(), correction.productA(), correction.productB(), step.input()),
                linears.size());
    }

    /** {@code ||error|| / ||weight||}, Frobenius; 0 where the weight is all zeros. */
    private static double relative(NDArray error, NDArray weight) {
        double norm = NativeFloats.sumOfSquares(weight);
        return norm == 0 ? 0 : Math.sqrt(NativeFloats.sumOfSquares(error) / norm);
    }
}
