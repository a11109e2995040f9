package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import java.util.OptionalInt;

/**
 * FlexRound and LRQ: each weight is divided by a learned number of its own before it is rounded; in LRQ these numbers
 * form a matrix of low rank. Source: FlexRound (ICML 2023), LRQ (NAACL 2025).
 *
 * @param lowRank whether this is LRQ
 * @param rank of its matrix; absent: a share of the smaller side
 * @param rankRatio that share
 * @param releasedFallback whether weights of some shapes are given a full matrix all the same, as in released code
 * @param rate of learning
 */
record FlexRound(
        boolean lowRank, OptionalInt rank, double rankRatio, boolean releasedFallback, double rate, Training training)
        implements LearnedMethod {
    /** The shapes at which released code changes its mind. */
    private static final int SMALL = 4096;

    private static final int LARGE = 8192;

    static FlexRound read(ConfigTable table, boolean lowRank) {
        OptionalInt rank = lowRank ? table.optionalInteger("rank", 1, 1 << 16) : OptionalInt.empty();
        double ratio = lowRank && rank.isEmpty() ? table.decimal("rank_ratio", 0.25, 1e-4, 1) : 0;
        boolean fallback = lowRank && table.flag("released_fallback", false);
        double rate = table.decimal("learning_rate", 5e-4, 0, 10);
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
