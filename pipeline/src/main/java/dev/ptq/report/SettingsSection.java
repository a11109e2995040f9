package dev.ptq.report;

import dev.ptq.config.FlatConfig;
import dev.ptq.config.NaturalOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** The settings in which the runs differ, and those they share. */
final class SettingsSection {
    private static final int MOST_KEYS = 300;
    private static final int MOST_VALUES = 60;
    private static final int LONGEST = 300;

    private SettingsSection() {}

    static ReportSection of(List<ResultRow> rows) {
        String id = "settings";
        String title = "Settings";
        List<ResultRow> configured =
                rows.stream().filter(row -> !row.config().isEmpty()).toList();
        if (configured.isEmpty()) {
            return ReportSection.empty(id, title, "No run has a config that can be read.");
        }
        Set<String> differences = FlatConfig.differences(ResultTable.configs(configured));
        Html html = new Html();
        if (differences.isEmpty()) {
            html.element("p", "The runs have the same settings.", "class", "note");
        } else {
            html.element("h3", "What differs");
            html.open("div", "class", "scroll").open("table").open("thead").open("tr");
            for (String name : List.of("key", "value", "runs")) {
                html.element("th", name, "scope", "col");
            }
            html.close().close().open("tbody");
            keys(configured, differences::contains).forEach(key -> different(html, key, configured));
            html.close().close().close();
        }
        html.open("details").element("summary", "What all runs with a key share");
        html.open("div", "class", "scroll").open("table").open("tbody");
        keys(configured, key -> !differences.contains(key))
                .forEach(key -> byValue(key, configured).keySet().stream()
                        .limit(1)
                        .forEach(value -> {
                            html.open("tr").element("th", Html.cut(key, LONGEST), "scope", "row");
                            html.element("td", Html.cut(value, LONGEST)).close();
                        }));
        html.close().close().close().close();
        return new ReportSection(id, title, html);
    }

    private static List<String> keys(List<ResultRow> rows, Predicate<String> wanted) {
        return ResultTable.settings(rows).stream()
                .filter(wanted)
                .limit(MOST_KEYS)
                .toList();
    }

    /** A row for each value; runs without the key are left out. */
    private static void different(Html html, String key, List<ResultRow> rows) {
        byValue(key, rows).entrySet().stream()
                .sorted(Map.Entry.comparingByKey(NaturalOrder.INSTANCE))
                .limit(MOST_VALUES)
                .forEach(entry -> {
                    html.open("tr").element("th", Html.cut(key, LONGEST), "scope", "row");
                    html.element("td", Html.cut(entry.getKey(), LONGEST));
                    String runs = String.join(", ", entry.getValue());
                    html.element("td", entry.getValue().size() + ": " + Html.cut(runs, LONGEST), "class", "long")
                            .close();
                });
    }

    private static Map<String, List<String>> byValue(String key, List<ResultRow> rows) {
        Map<String, List<String>> runs = new LinkedHashMap<>();
        for (ResultRow row : rows) {
            Object value = row.config().values().get(key);
            if (value != null) {
                runs.computeIfAbsent(value.toString(), text -> new ArrayList<>())
                        .add(row.run());
            }
        }
        return runs;
    }
}
