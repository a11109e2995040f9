package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.TokenSample;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.model.HookPoint;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.Mappings;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.model.SmoothingMapping.Kind;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/** {@link Awq} at work on one block. */
final class AwqSearch {
    private static final String WEIGHT = ".weight";

    private final Awq awq;
    private final BlockContext context;
    private final HeadLayout heads;

    AwqSearch(Awq awq, BlockContext context) {
        this.awq = awq;
        this.context = context;
        this.heads = HeadLayout.of(context.shape().attention());
    }

    void run() throws IOException {
        Map<SmoothingMapping, float[]> factors = new LinkedHashMap<>();
        for (SmoothingMapping mapping : context.allMappings(awq.transforms())) {
            Optional<String> why = whyLeftAlone(mapping);
            if (why.isPresent()) {
                context.record(
                        LedgerEvent.NOT_RESCALED,
                        awq,
                        "blocks." + context.block().index() + "." + mapping.label(),
                        1,
                        why.get());
            } else {
                search(mapping).ifPresent(found -> factors.put(mapping, found));
            }
        }
        if (!factors.isEmpty()) {
            ChannelScaling.apply(context, awq.name(), factors);
        }
        if (awq.clip().isPresent()) {
            clip(awq.clip().get());
        }
    }

    private Optional<String> whyLeftAlone(SmoothingMapping mapping) {
        if (!context.isWorkedOn(mapping)) {
            return Optional.of("calibration hardly reaches the expert; not rescaled");
        }
        if (mapping.kind() == Kind.VALUE_OUT && !awq.groupedValues() && heads.group() > 1) {
            return Optional.of("several query heads share a head of values; not rescaled");
        }
        return rounded(mapping).isEmpty()
                ? Optional.of("no weight behind it has a format; not rescaled")
                : Optional.empty();
    }

    private NumberFormat format(Linear linear) {
        return context.formats().of(linear.spec()).weight();
    }

    /** The linears behind a mapping whose weights are rounded, of a mixture those of all experts. */
    private List<Linear> rounded(SmoothingMapping mapping) {
        HookPoint entry = mapping.hookPoint().orElseThrow();
        boolean isMixture = entry.equals(HookPoint.MIXTURE_IN);
        return context.block().linears().stream()
                .filter(linear -> {
                    HookPoint own = linear.spec().hookPoint();
                    return isMixture ? own.place() == HookPoint.Place.MLP_IN : own.equals(entry);
                })
                .filter(linear -> !format(linear).isNone())
                .toList();
    }

    /** Returns the best factors; empty if none are better than 1. */
    private Optional<float[]> search(SmoothingMapping mapping) throws IOException {
        long start = System.nanoTime();
        List<Linear> linears = rounded(mapping);
        ActivationStatistics statistics = context.statistics(awq);
        float[] activations = ofChannels(
                mapping,
                statistics.of(context.block().index(), mapping.hookPoint().orElseThrow(), Statistic.MEAN_ABS));
        WeightMeans means = new WeightMeans(linears.get(0).spec().inFeatures());
        linears.forEach(linear -> means.add(linear, format(linear)));
        float[] weights = ofChannels(mapping, means.means());
        if (awq.byMlp()) {
            float unit = (float) meanOfMlp();
            for (int i = 0; i < weights.length; i++) {
                weights[i] *= unit;
            }
        }
        try (OutputError error = error(mapping, linears, statistics)) {
            double nearest = error(mapping, linears, error, Optional.empty());
            double best = awq.candidates().unscaled() ? nearest : Double.POSITIVE_INFINITY;
            Optional<ScaleCandidates.Candidate> chosen = Optional.empty();
            Optional<float[]> found = Optional.empty();
            for (ScaleCandidates.Candidate candidate : awq.candidates().all()) {
                float[] factors = candidate.factors(activations, weights);
                double tried = error(mapping, linears, error, Optional.of(factors));
                if (tried < best) {
                    best = tried;
                    chosen = Optional.of(candidate);
                    found = Optional.of(factors);
                }
            }
            context.report(new BlockContext.ScaleReport(
                    awq.name(),
                    context.block().index(),
                    mapping.label(),
                    nearest,
                    chosen.isPresent() ? best : nearest,
                    chosen.map(candidate -> OptionalDouble.of(candidate.ratio()))
                            .orElseGet(OptionalDouble::empty),
                    chosen.map(ScaleCandidates.Candidate::duo).orElse(false),
                    (System.nanoTime() - start) / 1e9,
                    chosen.isPresent() ? "" : "no factors are better than 1"));
            return found;
        }
    }

    /** The mean, over the first linears of the MLP, of the mean magnitude of their weights. */
    private double meanOfMlp() {
        return context.block().linears().stream()
                .filter(linear -> linear.spec().hookPoint().place() == HookPoint.Place.MLP_IN)
                .mapToDouble(linear -> NativeFloats.sumOfMagnitudes(linear.weight())
                        / linear.spec().size())
                .average()
                .orElse(1);
    }

    /** Values of a mapping's columns as those of its channels: where heads share these, the means over heads. */
    private float[] ofChannels(SmoothingMapping mapping, float[] ofColumns) {
        return mapping.kind() == Kind.VALUE_OUT ? heads.meanOfGroup(ofColumns) : ofColumns;
    }

    private OutputError error(SmoothingMapping mapping, List<Linear> linears, ActivationStatistics statistics)
            throws IOException {
        return mapping.kind().afterNorm()
                ? new BranchError(
                        context.samples().pass(),
                        context.block(),
                        mapping.hookPoint().orElseThrow(),
                        context.inputs(awq))
                : new LinearError(context.block().manager(), linears.get(0), statistics);
    }

    /** The error with the weights behind a mapping multiplied by factors, rounded, and divided again. */
    private double error(SmoothingMapping mapping, List<Linear> linears, OutputError error, Optional<float[]> factors)
            throws IOException {
        try (NDManager scratch = context.block().manager().newSubManager()) {
            Optional<NDArray> columns = factors.map(values -> columns(scratch, mapping, values));
            Map<String, NDArray> weights = new HashMap<>();
            for (Linear linear : linears) {
                NumberFormat format =
                        awq.asRounded() ? format(linear) : format(linear).unsearched();
                NDArray weight = linear.weight();
                weight.tempAttach(scratch);
                weights.put(
                        linear.spec().path(),
                        columns.map(values -> format.fakeQuantizeInPlace(weight.mul(values), Operand.WEIGHT)
                                        .divi(values))
                                .orElseGet(() -> format.fakeQuantize(weight, Operand.WEIGHT)));
            }
            return error.of(weights);
        }
    }

    /** The factors of a mapping's channels as those of its weights' columns. */
    private NDArray columns(NDManager scratch, SmoothingMapping mapping, float[] factors) {
        NDArray values = NativeFloats.of(scratch, factors, factors.length);
        return mapping.kind() == Kind.VALUE_OUT ? heads.perQueryChannel(values) : values;
    }

    private void clip(ClipSearch search) throws IOException {
        TokenSample sample = new TokenSample(search.tokens(), context.seesAllTokens());
        context.samples().pass().observe(context.block(), context.inputs(awq), sample);
        for (Linear linear : List.copyOf(context.block().linears())) {
            if (!format(linear).isNone() && context.isWorkedOn(linear.spec())) {
                clip(search, linear, sample);
            }
        }
    }

    private void clip(ClipSearch search, Linear linear, TokenSample sample) throws IOException {
        LinearSpec spec = linear.spec();
        FusedParts fused = new FusedParts(context.shape());
        try (NDManager scratch = context.block().manager().newSubManager()) {
            NDArray weight = linear.weight();
            weight.tempAttach(scratch);
            NDArray input = sample.of(scratch, spec.hookPoint(), spec.inFeatures());
            if (input.isEmpty()) {
                return; // an expert that no token comes to
            }
            Map<String, NDArray> parts = fused.apart(Map.of(spec.path() + WEIGHT, weight));
            boolean isClipped = false;
            for (String part : clippable(search, parts)) {
                long start = System.nanoTime();
                ClipSearch.Found found = search.run(Objects.requireNonNull(parts.get(part)), format(linear), input);
                context.report(new BlockContext.ClipReport(
                        awq.name(),
                        spec,
                        found.nearestLoss(),
                        found.loss(),
                        found.clipped(),
                        (System.nanoTime() - start) / 1e9));
                parts.put(part, found.weight());
                isClipped |= found.clipped() > 0;
            }
            if (isClipped) {
                context.clip(
                        linear, Objects.requireNonNull(fused.together(parts).get(spec.path() + WEIGHT)));
            }
        }
    }

    /** The tensors of a weight's parts that are to be clipped. */
    private List<String> clippable(ClipSearch search, Map<String, NDArray> parts) {
        List<String> some = new ArrayList<>(parts.keySet());
        if (!search.queriesAndKeys()) {
            Mappings.attentionInputs(context.shape().attention())
                    .subList(0, 2)
                    .forEach(path -> some.remove(path + WEIGHT));
        }
        return some;
    }
}
