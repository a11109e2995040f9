package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * FlexRound and LRQ: each weight is divided by its own learned number before it is rounded; in LRQ these numbers form a
 * low-rank matrix. Source: FlexRound (ICML 2023), LRQ (NAACL 2025).
 *
 * @param lowRank whether this is LRQ
 * @param rank of its matrix; absent: a share of the smaller side
 * @param rankRatio that share
 * @param releasedFallback whether weights of some shapes get a full matrix all the same, as in released code
 * @param rate learning rate
 */
record FlexRound(
        boolean lowRank, OptionalInt rank, double rankRatio, boolean releasedFallback, double rate, Training training)
        implements LearnedMethod {
    /** Side lengths at which the released code switches to a full matrix. */
    private static final int SMALL = 4096;

    private static final int LARGE = 8192;

    private static final Key<Double> RATE = Key.decimal("learning_rate")
            .from(0.0)
            .to(10.0)
            .preset(5e-4)
            .says("learning rate at the start; it falls to zero along a cosine. The best one differs tenfold between"
                    + " models");

    private static final Key<Optional<Integer>> RANK =
            Key.integer("rank").from(1).to(1 << 16).optional("by `rank_ratio`").says("rank of the divisors");

    private static final Key<Double> RANK_RATIO = Key.decimal("rank_ratio")
            .from(1e-4)
            .to(1.0)
            .preset(0.25)
            .says("their rank as a share of a weight's smaller side; only without `rank`");

    private static final Key<Boolean> RELEASED_FALLBACK = Key.flag("released_fallback")
            .preset(false)
            .says("whether weights of some shapes get full divisors, as released code gives them");

    /** The keys of a step of FlexRound. */
    static final Keys KEYS = Keys.of(RATE).and(Training.ITERATION_KEYS);

    /** The keys of a step of LRQ. */
    static final Keys LOW_RANK_KEYS =
            Keys.of(RANK, RANK_RATIO, RELEASED_FALLBACK).and(KEYS);

    static FlexRound read(ConfigTable table, boolean lowRank) {
        OptionalInt rank =
                lowRank ? table.read(RANK).map(OptionalInt::of).orElseGet(OptionalInt::empty) : OptionalInt.empty();
        double ratio = lowRank && rank.isEmpty() ? table.read(RANK_RATIO) : 0;
        boolean fallback = lowRank && table.read(RELEASED_FALLBACK);
        double rate = table.read(RATE);
        return new FlexRound(
                lowRank,
                rank,
                ratio,
                fallback,
                rate,
                Training.readIterations(table, Training.Loss.SQUARED_SUM_OF_TOKENS));
    }

    @Override
    public String name() {
        return lowRank ? "lrq" : "flexround";
    }

    @Override
    public Transformation transformation() {
        return Transformation.none();
    }

    @Override
    public boolean learnsRounding() {
        return true;
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        LearnedMethod.super.check(shape, quantization, table);
        if (training.quantizedActivations() && quantization.equals(quantization.weightsOnly())) {
            table.problem("quantized_activations", "expected false where nothing but weights is rounded, got true");
        }
        if (rank.isPresent()) {
            LanguageModel.linears(shape).stream()
                    .filter(linear -> rank.getAsInt() > Math.min(linear.inFeatures(), linear.outFeatures()))
                    .findFirst()
                    .ifPresent(linear -> table.problem(
                            "rank",
                            "expected at most " + Math.min(linear.inFeatures(), linear.outFeatures())
                                    + ", the smaller side of " + linear.weightName() + ", got " + rank.getAsInt()));
        }
    }

    @Override
    public boolean draws() {
        return lowRank || LearnedMethod.super.draws();
    }

    @Override
    public WeightRounding rounding(BlockContext context, Linear linear) {
        NumberFormat format = context.formats().of(linear.spec()).weight();
        return format instanceof IntegerFormat integer
                ? new LearnedDivision(
                        context.block().manager(),
                        linear.spec(),
                        linear.weight(),
                        integer,
                        rank(linear.spec()),
                        rate,
                        context.seed(linear.spec()))
                : WeightRounding.nearest(format);
    }

    /** The rank of a linear's matrix; 0 for a full one. */
    int rank(LinearSpec linear) {
        int smaller = Math.min(linear.inFeatures(), linear.outFeatures());
        int larger = Math.max(linear.inFeatures(), linear.outFeatures());
        if (!lowRank
                || (releasedFallback
                        && ((smaller <= SMALL && larger > SMALL) || (smaller == LARGE && larger == LARGE)))) {
            return 0;
        }
        return rank.orElseGet(() -> Math.max(1, (int) Math.rint(rankRatio * smaller)));
    }
}
