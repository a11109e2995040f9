package dev.ptq.report;

import dev.ptq.config.FlatConfig;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/** Names families of runs by their settings, apart from the one that an axis shows. */
final class RunFamilies {
    private static final String STEPS = "approximation";
    private static final Pattern RANK = Pattern.compile("approximation\\..+\\.rank");
    private static final Pattern KIND = Pattern.compile("approximation|quantization\\.weight\\.format");

    /** Settings in which the runs differ, in the order of their configs. */
    private final List<String> differing;

    /** The axis of a sweep whose alternatives decide on the steps, if there is one. */
    private final Optional<String> axis;

    /** Whether its alternatives leave the rank open. */
    private final boolean anyRank;

    private RunFamilies(List<String> differing, List<ResultRow> rows) {
        this.differing = differing;
        axis = ResultTable.axes(rows).stream()
                .filter(name -> decides(name, rows, row -> row.config().values().getOrDefault(STEPS, "")))
                .findFirst();
        anyRank = axis.isPresent() && !decides(axis.get(), rows, RunFamilies::rank);
    }

    /** Returns whether runs with one alternative agree, and not all runs do. */
    private static boolean decides(String axis, List<ResultRow> rows, Function<ResultRow, Object> setting) {
        Map<String, Set<Object>> values = new LinkedHashMap<>();
        for (ResultRow row : rows) {
            if (row.axes().containsKey(axis)
                    && row.config().isWhole()
                    && !row.config().isEmpty()) {
                values.computeIfAbsent(row.axes().get(axis), any -> new HashSet<>())
                        .add(setting.apply(row));
            }
        }
        return values.values().stream().allMatch(some -> some.size() == 1)
                && values.values().stream().distinct().count() > 1;
    }

    static RunFamilies of(List<ResultRow> rows) {
        Set<String> differences = FlatConfig.differences(ResultTable.configs(rows));
        return new RunFamilies(
                ResultTable.settings(rows).stream()
                        .filter(differences::contains)
                        .toList(),
                rows);
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
        return name(row, KIND.asMatchPredicate(), axis.isPresent());
    }

    /** All settings that differ, except the rank. */
    String allButRank(ResultRow row) {
        return name(row, RANK.asMatchPredicate().negate(), anyRank);
    }

    /** Names a run by settings; an alternative stands for all that the steps are. */
    private String name(ResultRow row, Predicate<String> wanted, boolean byAxis) {
        List<String> parts = new ArrayList<>();
        Optional<String> alternative = axis.filter(name -> byAxis).map(row.axes()::get);
        alternative.ifPresent(parts::add);
        Map<String, Object> values = row.config().values();
        for (String key : differing) {
            boolean isStep = key.equals(STEPS) || key.startsWith(STEPS + ".");
            if (wanted.test(key) && !(isStep && alternative.isPresent())) {
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
