package dev.ptq.method;

import ai.djl.ndarray.types.Shape;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.method.LowRankCorrection.Of;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRankFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * A low-rank path beside each linear in any order with rounding: for the error of rounding, for the weight before it is
 * rounded, or for both in turn; see {@link LowRankSearch}. {@link LowRankCorrection} is the plain case.
 *
 * @param name in configs
 * @param correction what all orders have in common; its rank is 0 where there is a budget
 * @param alternations how often rounding and factors are repeated
 * @param refit whether {@code B} is fitted to {@code A} as it was rounded
 * @param sharedFactor whether linears with one input have one {@code A}
 * @param rankBudget bits per weight that factors take in a block; absent: all have the same rank
 * @param input that paths read
 */
record LowRankDecomposition(
        String name,
        LowRankCorrection correction,
        int alternations,
        boolean refit,
        boolean sharedFactor,
        OptionalDouble rankBudget,
        LowRankFormats.Input input)
        implements Method {
    /** The plain correction. */
    static LowRankDecomposition of(LowRankCorrection correction) {
        return new LowRankDecomposition(
                correction.name(), correction, 0, false, false, OptionalDouble.empty(), LowRankFormats.Input.ROUNDED);
    }

    /** Returns whether it is no more than its correction. */
    boolean isPlain() {
        return correction.of() != Of.BOTH && equals(of(correction));
    }

    @Override
    public boolean draws() {
        return correction.draws();
    }

    @Override
    public Phase phase() {
        return correction.of() == Of.ERROR && alternations > 0 ? Phase.ROUND : correction.phase();
    }

    @Override
    public String title() {
        if (correction.of() == Of.BOTH && !name.equals(LowRankMethod.SRR.label())) {
            return name + " (of = \"both\")";
        }
        return correction.of() == Of.ERROR && alternations > 0 ? name + " (alternate = " + alternations + ")" : name;
    }

    @Override
    public Needs needs() {
        return correction.needs();
    }

    @Override
    public boolean addsPaths() {
        return true;
    }

    @Override
    public boolean matches(LinearSpec linear) {
        return correction.matches(linear);
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        correction.check(shape, quantization, table);
        if (rankBudget.isEmpty()) {
            return;
        }
        Map<Integer, List<LinearSpec>> byBlock = new LinkedHashMap<>();
        LanguageModel.linears(shape).stream()
                .filter(this::matches)
                .forEach(linear -> byBlock.computeIfAbsent(linear.block(), block -> new ArrayList<>())
                        .add(linear));
        for (List<LinearSpec> linears : byBlock.values()) {
            List<List<LinearSpec>> units = units(linears, Function.identity());
            double size = linears.stream().mapToLong(LinearSpec::size).sum();
            double least =
                    units.stream().mapToDouble(unit -> bits(unit, 1)).min().orElse(0) / size;
            if (least > rankBudget.getAsDouble()) {
                table.problem(
                        "rank_budget",
                        "expected at least " + Math.ceil(least * 1e4) / 1e4
                                + ", which one rank of one weight takes in block "
                                + linears.get(0).block() + ", got " + rankBudget.getAsDouble());
                return;
            }
        }
    }

    @Override
    public void apply(BlockContext context) throws IOException {
        List<Linear> matched = context.block().linears().stream()
                .filter(linear -> matches(linear.spec()) && context.isWorkedOn(linear.spec()))
                .toList();
        if (correction.inputs() != Inputs.TRUE_SEQUENTIAL) {
            apply(context, matched);
            return;
        }
        // what comes to a place depends on what becomes of the linears before it
        for (HookPoint.Place place : HookPoint.Place.values()) {
            apply(
                    context,
                    matched.stream()
                            .filter(linear -> linear.spec().hookPoint().place() == place)
                            .toList());
        }
    }

    /** Linears that are decomposed together: each for itself, or all with one input. */
    private <T> List<List<T>> units(List<T> linears, Function<T, LinearSpec> spec) {
        if (!sharedFactor) {
            return linears.stream().map(List::of).toList();
        }
        Map<HookPoint, List<T>> byInput = new LinkedHashMap<>();
        linears.forEach(linear -> byInput.computeIfAbsent(spec.apply(linear).hookPoint(), input -> new ArrayList<>())
                .add(linear));
        return List.copyOf(byInput.values());
    }

    /** Storage of the factors of a unit. */
    private double bits(List<LinearSpec> unit, int rank) {
        NumberFormat format = correction.factor();
        return format.storageBits(new Shape(unit.get(0).inFeatures(), rank), Operand.FACTOR)
                + unit.stream()
                        .mapToDouble(
                                linear -> format.storageBits(new Shape(rank, linear.outFeatures()), Operand.FACTOR))
                        .sum();
    }

    /** Works on weights side by side. */
    private void apply(BlockContext context, List<Linear> linears) throws IOException {
        if (linears.isEmpty()) {
            return;
        }
        Optional<ActivationStatistics> statistics = needs().statistics().isEmpty()
                ? Optional.empty()
                : Optional.of(context.statistics(this, linears.get(0).spec()));
        context.formats(); // what they know of the block is found before threads ask for it
        List<LowRankUnit> units = units(linears, Linear::spec).stream()
                .map(unit -> new LowRankUnit(this, context, unit, statistics))
                .toList();
        int atOnce = LowRankCorrection.atOnce(
                units.stream().mapToLong(LowRankUnit::size).max().orElse(1));
        int[] ranks = ranks(units, atOnce);
        Parallel.forEachOfTensors(ranks.length, atOnce, i -> units.get(i).decompose(ranks[i]));
        units.forEach(LowRankUnit::adopt);
    }

    private int[] ranks(List<LowRankUnit> units, int atOnce) throws IOException {
        int[] ranks = new int[units.size()];
        if (rankBudget.isEmpty()) {
            Arrays.fill(ranks, correction.rank());
            return ranks;
        }
        RankAllocation.Part[] parts = new RankAllocation.Part[ranks.length];
        Parallel.forEachOfTensors(ranks.length, atOnce, i -> {
            List<LinearSpec> specs = units.get(i).specs();
            parts[i] = new RankAllocation.Part(units.get(i).energies(), rank -> bits(specs, rank));
        });
        double weights = units.stream().mapToLong(LowRankUnit::size).sum();
        return RankAllocation.ranks(List.of(parts), rankBudget.getAsDouble() * weights);
    }
}
