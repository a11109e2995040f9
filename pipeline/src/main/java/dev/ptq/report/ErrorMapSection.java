package dev.ptq.report;

import dev.ptq.artifact.ApproximatedColumn;
import dev.ptq.artifact.QuantizedColumn;
import dev.ptq.artifact.RunFiles;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The relative weight error of every linear, before and after its correction: blocks against kinds, one table per run.
 */
final class ErrorMapSection {
    private static final int SHADES = 9;
    private static final int MOST_BLOCKS = 80;
    private static final int MOST_KINDS = 16;

    /** Limit of cells in the whole section. */
    private static final int MOST_CELLS = 12_000;

    private final List<Maps> runs = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();

    /** Errors of one run; {@code after} is empty where nothing is corrected. */
    private record Maps(String run, Map<LinearName, Double> before, Map<LinearName, Double> after) {
        Stream<Double> all() {
            return Stream.concat(before.values().stream(), after.values().stream())
                    .filter(value -> Double.isFinite(value) && value >= 0);
        }
    }

    private ErrorMapSection() {}

    static ReportSection of(List<ResultRow> rows) {
        ErrorMapSection section = new ErrorMapSection();
        rows.stream().filter(row -> !row.config().isEmpty()).forEach(section::read);
        return section.write();
    }

    private void read(ResultRow row) {
        try {
            Map<LinearName, Double> before = new LinkedHashMap<>(
                    LayerTable.column(row.folder(), RunFiles.QUANTIZE, QuantizedColumn.RELATIVE_ERROR));
            LayerTable.column(row.folder(), RunFiles.APPROXIMATE, ApproximatedColumn.ERROR_BEFORE)
                    .forEach(before::putIfAbsent);
            Map<LinearName, Double> after =
                    LayerTable.column(row.folder(), RunFiles.APPROXIMATE, ApproximatedColumn.ERROR_AFTER);
            if (!before.isEmpty()) {
                runs.add(new Maps(row.run(), before, after));
            }
        } catch (IOException e) {
            notes.add(row.run() + ": " + e.getMessage());
        }
    }

    private ReportSection write() {
        String id = "errors";
        String title = "Weight errors by block and linear";
        Html html = new Html();
        if (runs.isEmpty()) {
            html.element("p", "No table: no run has " + RunFiles.LAYERS + " of its stages.", "class", "note");
        } else {
            html.element(
                    "p",
                    "‖W − Wq‖ / ‖W‖ in percent, Frobenius; after: with the correction added. Shades reach from the least"
                            + " error of the run to the largest.",
                    "class",
                    "note");
            Panels panels = new Panels("run");
            int cells = 0;
            for (Maps run : runs) {
                cells += run.before().size() + run.after().size();
                if (cells <= MOST_CELLS || panels.isEmpty()) {
                    panels.add(tables(run), run.run());
                } else {
                    notes.add(run.run() + ": left out, the page would become too large");
                }
            }
            panels.write(html);
        }
        notes.stream().limit(20).forEach(note -> html.element("p", Html.cut(note, 500), "class", "note"));
        return new ReportSection(id, title, html);
    }

    private static void legend(Html html, double low, double high) {
        html.open("p", "class", "legend").text(percent(low) + " ");
        IntStream.range(0, SHADES).forEach(shade -> html.element("span", "", "class", "shade h" + shade));
        html.text(" " + percent(high) + " %").close();
    }

    private static Html tables(Maps run) {
        double low = run.all().mapToDouble(value -> value).min().orElse(0);
        double high = run.all().mapToDouble(value -> value).max().orElse(0);
        Html html = new Html();
        legend(html, low, high);
        html.open("div", "class", "maps");
        table(html, "rounded to nearest", run.before(), run.before(), low, high);
        if (!run.after().isEmpty()) {
            table(html, "after the correction", run.before(), run.after(), low, high);
        }
        return html.close();
    }

    /** Gives every linear a cell, so that tables side by side have the same cells. */
    private static void table(
            Html html,
            String caption,
            Map<LinearName, Double> all,
            Map<LinearName, Double> values,
            double low,
            double high) {
        TreeSet<Integer> blocks = new TreeSet<>();
        all.keySet().forEach(linear -> blocks.add(linear.block()));
        List<Integer> shown = blocks.stream().limit(MOST_BLOCKS).toList();
        html.open("div", "class", "scroll").open("table", "class", "map").element("caption", caption);
        html.open("thead").open("tr").element("th", "block", "scope", "col");
        shown.forEach(block -> html.element("th", String.valueOf(block), "scope", "col"));
        html.close().close().open("tbody");
        all.keySet().stream().map(LinearName::kind).distinct().limit(MOST_KINDS).forEach(kind -> {
            html.open("tr").element("th", kind, "scope", "row");
            for (int block : shown) {
                Optional<Double> value = Optional.ofNullable(values.get(new LinearName(block, kind)));
                html.element(
                        "td",
                        value.map(ErrorMapSection::percent).orElse("–"),
                        "class",
                        value.map(each -> shade(each, low, high)).orElse(""));
            }
            html.close();
        });
        html.close().close().close();
    }

    private static String percent(double share) {
        return Double.isFinite(share)
                ? String.format(Locale.ROOT, share < 9.9995 ? "%.1f" : "%.2g", 100 * share)
                : String.valueOf(share);
    }

    private static String shade(double value, double low, double high) {
        if (!(value >= low && value <= high)) {
            return "";
        }
        double place = high > low ? (value - low) / (high - low) : 0;
        return "h" + Math.min(SHADES - 1, (int) (place * SHADES));
    }
}
