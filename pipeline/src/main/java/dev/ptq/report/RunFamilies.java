package dev.ptq.report;

import dev.ptq.config.FlatConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/** Names families of runs by their settings, apart from the one that an axis shows. */
final class RunFamilies {
    private static final String STEPS = "approximation";
    private static final Pattern RANK = Pattern.compile("approximation\\..+\\.rank");
    private static final Pattern KIND = Pattern.compile("approximation|quantization\\.weight\\.format");

    /** Settings in which the runs differ, in the order of their configs. */
    private final List<String> differing;

    private RunFamilies(List<String> differing) {
        this.differing = differing;
    }

    static RunFamilies of(List<ResultRow> rows) {
        Set<String> differences = FlatConfig.differences(ResultTable.configs(rows));
        return new RunFamilies(ResultTable.settings(rows).stream()
                .filter(differences::contains)
                .toList());
    }

    /** The rank of a run's correction; empty with no correction, or several. */
    static Optional<Double> rank(ResultRow row) {
        List<Double> ranks = new ArrayList<>();
        row.config().values().forEach((key, value) -> {
            if (RANK.matcher(key).matches() && value instanceof Number number) {
                ranks.add(number.doubleValue());
            }
        });
        return ranks.size() == 1 && ranks.get(0) >= 1 ? Optional.of(ranks.get(0)) : Optional.empty();
    }

    /** Method and format, where they differ. */
    String kind(ResultRow row) {
        return name(row, KIND.asMatchPredicate());
    }

    /** All settings that differ, except the rank. */
    String allButRank(ResultRow row) {
        return name(row, RANK.asMatchPredicate().negate());
    }

    private String name(ResultRow row, Predicate<String> wanted) {
        List<String> parts = new ArrayList<>();
        Map<String, Object> values = row.config().values();
        for (String key : differing) {
            if (wanted.test(key)) {
                Object value = values.get(key);
                if (key.equals(STEPS)) {
                    parts.add(value instanceof String steps && !steps.isEmpty() ? steps : "no correction");
                } else if (value != null) {
                    String name = name(key);
                    parts.add(name.equals("format") ? value.toString() : name + " " + value);
                }
            }
        }
        return parts.isEmpty() ? "runs" : Html.cut(String.join(", ", parts), 60);
    }

    /** The shortest ending of a key that tells it from the others. */
    private String name(String key) {
        int dot = key.lastIndexOf('.');
        while (dot > 0 && isAmbiguous(key.substring(dot))) {
            dot = key.lastIndexOf('.', dot - 1);
        }
        return key.substring(dot + 1);
    }

    private boolean isAmbiguous(String end) {
        return differing.stream().filter(key -> key.endsWith(end)).count() > 1;
    }
}
