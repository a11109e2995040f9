package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** The quantization methods by the names they have in configs. */
public final class Methods {
    /** A method's one-line description and how its table is read. */
    private record Entry(String description, Function<ConfigTable, Method> reader) {}

    private static final Map<String, Entry> ENTRIES = new LinkedHashMap<>();

    static {
        ENTRIES.put(
                "lqer",
                new Entry(
                        "low-rank correction of the weight error by its SVD (LQER, ICML 2024); no calibration",
                        table -> LowRankCorrection.read(table, LowRankCorrection.Metric.IDENTITY)));
        ENTRIES.put(
                "l2qer",
                new Entry(
                        "the same, weighted by mean activation magnitudes (L2QER, ICML 2024); needs calibration",
                        table -> LowRankCorrection.read(table, LowRankCorrection.Metric.MEAN_ABS)));
        ENTRIES.put(
                "qera_approx",
                new Entry(
                        "the same, weighted by mean squares of activations (QERA, ICLR 2025); needs calibration",
                        table -> LowRankCorrection.read(table, LowRankCorrection.Metric.SECOND_MOMENT)));
        ENTRIES.put(
                "qera_exact",
                new Entry(
                        "the least expected error of the output, from the Hessian of the inputs (QERA, ICLR"
                                + " 2025); needs calibration",
                        table -> LowRankCorrection.read(table, LowRankCorrection.Metric.HESSIAN)));
        ENTRIES.put(
                "smoothquant",
                new Entry(
                        "outliers of activations moved into weights in closed form (SmoothQuant, ICML 2023); needs"
                                + " calibration",
                        SmoothQuant::read));
        ENTRIES.put(
                "omniquant",
                new Entry(
                        "learned ranges of weights, learned factors and shifts of channels (OmniQuant, ICLR 2024);"
                                + " trains on calibration",
                        OmniQuant::read));
        ENTRIES.put(
                "affinequant",
                new Entry(
                        "the same with invertible matrices for factors (AffineQuant, ICLR 2024); trains on calibration",
                        AffineQuant::read));
        ENTRIES.put(
                "flexround",
                new Entry(
                        "a learned divisor for each weight (FlexRound, ICML 2023); trains on calibration",
                        table -> FlexRound.read(table, false)));
        ENTRIES.put(
                "lrq",
                new Entry(
                        "the same with divisors of low rank (LRQ, NAACL 2025); trains on calibration",
                        table -> FlexRound.read(table, true)));
        ENTRIES.put(
                "lrquant",
                new Entry(
                        "as omniquant, with a loss that looks at directions too (LRQuant, ACL 2024); trains on"
                                + " calibration",
                        LrQuant::read));
    }

    private Methods() {}

    /** Names and descriptions. */
    public static Map<String, String> descriptions() {
        Map<String, String> descriptions = new LinkedHashMap<>();
        ENTRIES.forEach((name, entry) -> descriptions.put(name, entry.description()));
        return descriptions;
    }

    /** Reads one {@code [[approximation]]} table; its {@code method} key says which other keys it has. */
    public static Method read(ConfigTable table) {
        return table.choice("method", ENTRIES).reader().apply(table);
    }
}
