package dev.ptq.lqer;

import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Turns the low-rank corrections of a file, {@code [approximate]}, into steps of {@code [[approximation]]}. */
final class Corrections {
    private static final Map<String, String> METHODS =
            Map.of("lqer-act", "l2qer", "lqer-svd", "lqer", "act", "l2qer", "svd", "lqer");

    private static final String BLOCKS = "ptq goes through the model block by block";
    private static final String OPTIONS = "options of an approximation; the ones here have none";
    private static final Map<String, String> WITHOUT_COUNTERPART = Map.of(
            "device", "ptq runs on the CPU",
            "chunk_size", BLOCKS,
            "chunk_idx", BLOCKS,
            "lqer_svd", OPTIONS,
            "lqer_act", OPTIONS,
            "lqer_sgd", OPTIONS);

    /** The settings in which steps differ. */
    private record Kind(int rank, Quantizer factor) {}

    /** The weight format that an entry assumes, for comparison with the one the model runs with. */
    private record Assumption(LqerTable entry, Quantizer weight) {}

    private final String method;
    private final Map<Kind, List<String>> patterns = new LinkedHashMap<>();
    private final List<Assumption> assumptions = new ArrayList<>();

    private Corrections(String method) {
        this.method = method;
    }

    /** Reads {@code [approximate]}. */
    static Corrections read(LqerTable table, ExperimentText.Section section) {
        String name = table.text("name").orElse("");
        String method = METHODS.get(name.replace('_', '-'));
        if (method == null) {
            table.problem(
                    "name",
                    "expected one of [lqer-act, lqer-svd], got " + TomlWriter.inline(name)
                            + Spelling.hint(Spelling.closest(name, List.of("lqer-act", "lqer-svd"))));
        }
        Corrections corrections = new Corrections(method == null ? "lqer" : method);
        section.comment(table, WITHOUT_COUNTERPART);
        table.table("approximator").ifPresent(approximator -> corrections.readApproximator(approximator, section));
        if (corrections.patterns.isEmpty()) {
            section.warn(table, "approximator", "no pattern, so no weight is corrected");
        }
        return corrections;
    }

    private void readApproximator(LqerTable table, ExperimentText.Section section) {
        List<PatternEntry> entries = PatternEntry.of(table, key -> true);
        if (entries.isEmpty() && table.hasTable("default")) {
            section.warn(table, "default", "no pattern names this entry; here it is for all linears");
            entries = List.of(new PatternEntry(".*", table.table("default").orElseThrow()));
        }
        if (table.unread().contains("default")) {
            section.comment(table, "default", "no pattern names this entry");
        }
        Map<LqerTable, Kind> kinds = new LinkedHashMap<>();
        for (PatternEntry each : entries) {
            Kind kind = kinds.computeIfAbsent(each.entry(), entry -> kind(entry, section));
            patterns.computeIfAbsent(kind, absent -> new ArrayList<>()).add(each.pattern());
        }
    }

    private Kind kind(LqerTable entry, ExperimentText.Section section) {
        if (!entry.has("rank")) {
            entry.problem("rank", "expected a whole number, but it is missing");
        }
        int rank = entry.whole("rank", 1).orElse(1);
        assumptions.add(new Assumption(entry, quantizer(entry, "W_quantizer", Formats.Use.WEIGHT, section)));
        Quantizer a = quantizer(entry, "A_quantizer", Formats.Use.FACTOR, section);
        Quantizer b = quantizer(entry, "B_quantizer", Formats.Use.FACTOR, section);
        if (!a.format().equals(b.format())) {
            section.warn(entry, "B_quantizer", "ptq has one format for both factors; that of A_quantizer is taken");
        }
        return new Kind(rank, a);
    }

    private static Quantizer quantizer(LqerTable entry, String key, Formats.Use use, ExperimentText.Section section) {
        if (!entry.has(key)) {
            entry.problem(key, "expected a table, but it is missing");
        }
        return entry.table(key)
                .map(table -> Quantizer.read(table, use, section))
                .orElse(Quantizer.NONE);
    }

    /** Returns whether activation statistics are needed. */
    boolean needStatistics() {
        return method.equals("l2qer") && !patterns.isEmpty();
    }

    /** The weight formats assumed when the factors are made. */
    List<Quantizer> weights() {
        return assumptions.stream().map(Assumption::weight).toList();
    }

    /** Warns where factors would be made for a weight format that the model does not run with. */
    void compareWeights(List<Quantizer> formats, ExperimentText.Section section) {
        for (Assumption assumption : assumptions) {
            NumberFormat assumed = assumption.weight().format();
            if (formats.stream().noneMatch(format -> format.format().equals(assumed))) {
                section.warn(
                        assumption.entry(),
                        "W_quantizer",
                        "factors would be made for weights of the format "
                                + TomlWriter.inline(assumption.weight().table())
                                + ", but q_config's w_quantizer is "
                                + TomlWriter.inline(formats.get(0).table()) + ", which is taken for both");
            }
        }
    }

    /** Warns where {@code [l_config]} or a table in it gives a different rank. */
    void compareRanks(LqerTable table, ExperimentText.Section section) {
        Set<Integer> ranks = new TreeSet<>();
        patterns.keySet().forEach(kind -> ranks.add(kind.rank()));
        if (ranks.isEmpty()) {
            section.commentAll(table, "no weight is corrected");
            return;
        }
        for (String key : table.keys()) {
            if (table.hasTable(key)) {
                table.table(key).ifPresent(child -> compareRanks(child, section));
            } else if (key.equals("rank")) {
                int rank = table.whole(key, 0).orElse(0);
                boolean forAll = table.path().equals("l_config.linear");
                if (!ranks.contains(rank) || (forAll && ranks.size() > 1)) {
                    String taken = ranks.stream().map(String::valueOf).collect(Collectors.joining(" and "));
                    section.warn(table, key, "approximate.approximator has " + taken + ", which counts here");
                }
            }
        }
    }

    /**
     * Writes the steps.
     *
     * @param products formats of the products with the factors, by their keys
     */
    void write(ExperimentText text, Map<String, Quantizer> products) {
        patterns.forEach((kind, all) -> {
            for (String pattern : PatternEntry.joined(all)) {
                ExperimentText.Section section = text.section("[[approximation]]");
                section.set("method", method);
                section.set("rank", kind.rank());
                section.set("factor", kind.factor().table());
                products.forEach((key, product) -> section.set(key, product.table()));
                section.set("pattern", pattern);
            }
        });
    }
}
