package dev.ptq.lqer;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import dev.ptq.format.Formats;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * An LQER quantizer table translated into one of our formats.
 *
 * @param table as written in an experiment file
 * @param format its meaning, by which two tables are compared
 */
record Quantizer(Map<String, Object> table, NumberFormat format) {
    /** Leaves values in float32. */
    static final Quantizer NONE = new Quantizer(Map.of("format", "none"), new NoFormat());

    private static final Map<String, Set<String>> KEYS = new TreeMap<>(Map.of(
            "block_fp", Set.of("width", "exponent_width", "exponent_bias", "block_size", "skip_first_dim"),
            "integer", Set.of("width", "frac_width", "is_signed"),
            "minifloat", Set.of("width", "exponent_width", "exponent_bias"),
            "passthrough", Set.of()));

    private static final Map<String, String> THEIR_KEYS = Map.of(
            "bits", "width",
            "exponent_bits", "exponent_width",
            "exponent_bias", "exponent_bias",
            "block_size", "block_size",
            "fraction_bits", "frac_width");

    /** Reads an LQER table and comments on keys without effect. */
    static Quantizer read(LqerTable table, Formats.Use use, ExperimentText.Section section) {
        String name = table.text("name").orElse("");
        Set<String> used = KEYS.get(name);
        if (used == null) {
            table.problem(
                    "name",
                    "expected one of " + KEYS.keySet() + ", got " + TomlWriter.inline(name)
                            + Spelling.hint(Spelling.closest(name, KEYS.keySet())));
            table.keys().forEach(table::read);
            return NONE;
        }
        Quantizer quantizer = switch (name) {
            case "block_fp" -> checked(table, blockFloat(table, use, section), use);
            case "integer" -> checked(table, fixed(table), use);
            case "minifloat" -> checked(table, minifloat(table), use);
            default -> NONE;
        };
        commentOnUnused(table, used, name, section);
        return quantizer;
    }

    private static Map<String, Object> blockFloat(LqerTable table, Formats.Use use, ExperimentText.Section section) {
        Map<String, Object> format = new LinkedHashMap<>();
        format.put("format", "mxint");
        format.put("bits", table.whole("width", 1).orElse(12));
        format.put("block_size", blockSize(table, use, section));
        format.put("exponent_bits", table.whole("exponent_width", 1).orElse(8));
        table.whole("exponent_bias", 0).ifPresent(bias -> format.put("exponent_bias", bias));
        return format;
    }

    /** The last two numbers of a block size, since both programs count from the right; for a bias the last one. */
    private static List<Integer> blockSize(LqerTable table, Formats.Use use, ExperimentText.Section section) {
        List<Integer> size = table.wholes("block_size").orElse(List.of(16));
        boolean skipFirst = table.flag("skip_first_dim").orElse(true);
        if (size.isEmpty()) {
            table.problem("block_size", "expected at least one number, got none");
            return List.of(16);
        }
        List<Integer> last = size.subList(Math.max(0, size.size() - 2), size.size());
        return switch (use) {
            // without their first dimension they have one row each
            case WEIGHT, TENSOR, FACTOR -> skipFirst ? List.of(1, last.get(last.size() - 1)) : last;
            case INPUT, ACTIVATION -> {
                if (!skipFirst) {
                    section.comment(table, "skip_first_dim", "here no block reaches from one sequence to the next");
                }
                yield last;
            }
            case BIAS -> {
                if (skipFirst) {
                    section.comment(table, "skip_first_dim", "a bias has one dimension, and blocks lie along it");
                }
                yield last.subList(last.size() - 1, last.size());
            }
        };
    }

    private static Map<String, Object> fixed(LqerTable table) {
        Map<String, Object> format = new LinkedHashMap<>();
        format.put("format", "fixed");
        format.put("bits", required(table, "width", 1, 8));
        format.put("fraction_bits", required(table, "frac_width", -64, 4));
        format.put("signed", table.flag("is_signed").orElse(true));
        return format;
    }

    private static Map<String, Object> minifloat(LqerTable table) {
        Map<String, Object> format = new LinkedHashMap<>();
        format.put("format", "minifloat");
        format.put("bits", required(table, "width", 1, 8));
        format.put("exponent_bits", required(table, "exponent_width", 1, 4));
        table.whole("exponent_bias", 0).ifPresent(bias -> format.put("exponent_bias", bias));
        return format;
    }

    private static int required(LqerTable table, String key, int min, int standIn) {
        if (!table.has(key)) {
            table.problem(key, "expected a whole number, but it is missing");
        }
        return table.whole(key, min).orElse(standIn);
    }

    /** Reads the translated table with our own reader, and reports its errors at the LQER table. */
    private static Quantizer checked(LqerTable theirs, Map<String, Object> ours, Formats.Use use) {
        try {
            return new Quantizer(ours, Formats.parse(TomlWriter.inline(ours), "", use));
        } catch (ConfigException e) {
            for (ConfigException.KeyProblem problem : e.keyProblems()) {
                theirs.problem(THEIR_KEYS.getOrDefault(problem.key(), "name"), problem.message());
            }
            return NONE;
        }
    }

    private static void commentOnUnused(
            LqerTable table, Set<String> used, String name, ExperimentText.Section section) {
        List<String> unused = new ArrayList<>(table.keys());
        unused.removeAll(used);
        unused.remove("name");
        unused.forEach(table::read);
        if (!unused.isEmpty()) {
            section.remark(unused.stream()
                    .map(key -> TomlWriter.key(key) + " = " + table.shown(key))
                    .collect(Collectors.joining(", ", table.path() + " { ", " }: not used by " + name)));
        }
    }
}
