package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.config.Section;
import java.util.Map;
import java.util.function.Function;

/** The quantization methods by their names in configs. */
public final class Methods {
    /** A method's keys besides its name, and the reader for them. */
    private record Entry(Keys keys, Function<ConfigTable, Method> reader) {
        static Entry of(LowRankMethod method) {
            return new Entry(method.keys(), method::read);
        }
    }

    private static final Choices<Entry> ENTRIES = Choices.of(
                    "lqer",
                    Entry.of(LowRankMethod.LQER),
                    "low-rank correction of the weight error by its SVD (LQER, ICML 2024); no calibration")
            .and(
                    "l2qer",
                    Entry.of(LowRankMethod.L2QER),
                    "the same, weighted by mean activation magnitudes (L2QER, ICML 2024); needs calibration")
            .and(
                    "qera_approx",
                    Entry.of(LowRankMethod.QERA_APPROX),
                    "the same, weighted by mean squares of activations (QERA, ICLR 2025); needs calibration")
            .and(
                    "qera_exact",
                    Entry.of(LowRankMethod.QERA_EXACT),
                    "the least expected error of the output, from the Hessian of the inputs (QERA, ICLR 2025); needs"
                            + " calibration")
            .and(
                    "eora",
                    Entry.of(LowRankMethod.EORA),
                    "qera_exact by the name under which it follows GPTQ, with factors in half precision (EoRA, 2024);"
                            + " needs calibration")
            .and(
                    "srr",
                    Entry.of(LowRankMethod.SRR),
                    "a low-rank part of the weight before it is rounded to nearest, and one of the error, in the shares of"
                            + " the rank that leave the least (SRR, ICML 2026); needs calibration")
            .and(
                    "svdquant",
                    Entry.of(LowRankMethod.SVDQUANT),
                    "the low-rank part of the weight in half precision, on inputs before they are rounded; only the rest"
                            + " of the weight is rounded (SVDQuant, ICLR 2025); no calibration")
            .and(
                    "quarot",
                    new Entry(Rotate.KEYS, Rotate::read),
                    "orthogonal matrices folded into weights, which spread the outliers of activations (QuaRot, NeurIPS"
                            + " 2024); no calibration")
            .and(
                    "spinquant",
                    new Entry(Rotate.LEARNED_KEYS, Rotate::readLearned),
                    "the same with matrices that are learned through the whole model (SpinQuant, ICLR 2025); trains on"
                            + " calibration")
            .and(
                    "smoothquant",
                    new Entry(SmoothQuant.KEYS, SmoothQuant::read),
                    "outliers of activations moved into weights in closed form (SmoothQuant, ICML 2023); needs"
                            + " calibration")
            .and(
                    "awq",
                    new Entry(Awq.KEYS, Awq::read),
                    "factors of channels and ranges of weights by search, for the least error of outputs (AWQ, MLSys 2024);"
                            + " needs calibration")
            .and(
                    "omniquant",
                    new Entry(OmniQuant.KEYS, OmniQuant::read),
                    "learned ranges of weights, learned factors and shifts of channels (OmniQuant, ICLR 2024); trains on"
                            + " calibration")
            .and(
                    "affinequant",
                    new Entry(AffineQuant.KEYS, AffineQuant::read),
                    "the same with invertible matrices for factors (AffineQuant, ICLR 2024); trains on calibration")
            .and(
                    "gptq",
                    new Entry(Gptq.KEYS, Gptq::read),
                    "rounding column by column, where later columns make up for earlier errors (GPTQ, ICLR 2023); needs"
                            + " calibration")
            .and(
                    "flexround",
                    new Entry(FlexRound.KEYS, table -> FlexRound.read(table, false)),
                    "a learned divisor for each weight (FlexRound, ICML 2023); trains on calibration")
            .and(
                    "lrq",
                    new Entry(FlexRound.LOW_RANK_KEYS, table -> FlexRound.read(table, true)),
                    "the same with divisors of low rank (LRQ, NAACL 2025); trains on calibration")
            .and(
                    "autoround",
                    new Entry(AutoRound.KEYS, AutoRound::read),
                    "a learned shift of each weight and learned ranges, by the sign of the gradient (SignRound, EMNLP"
                            + " 2024); trains on calibration")
            .and(
                    "lrquant",
                    new Entry(LrQuant.KEYS.and(TestTimeAdaptation.TABLE), LrQuant::read),
                    "as omniquant, with a loss that also compares directions (LRQuant, ACL 2024); trains on calibration");

    private static final Key<Entry> METHOD =
            Key.choice("method", ENTRIES).says("the method; it decides the other keys");

    /** The keys of an {@code [[approximation]]}. */
    public static final Section SECTION = Section.choosing("approximation", METHOD, ENTRIES, Entry::keys);

    private Methods() {}

    /** Names and descriptions. */
    public static Map<String, String> descriptions() {
        return ENTRIES.texts();
    }

    /** Reads one {@code [[approximation]]} table; its {@code method} key determines the other keys. */
    public static Method read(ConfigTable table) {
        return table.read(METHOD).reader().apply(table);
    }
}
