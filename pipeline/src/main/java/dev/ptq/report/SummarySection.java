package dev.ptq.report;

import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.Variant;
import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.util.List;
import java.util.stream.IntStream;

/** A row for each run, sortable by the reader. */
final class SummarySection {
    private static final int MOST_COLUMNS = 250;
    private static final int LONGEST_CELL = 200;
    private static final int LONGEST_ERROR = 2000;

    private SummarySection() {}

    static ReportSection of(List<ResultRow> rows) {
        ResultTable table = ResultTable.of(rows);
        TaskParts parts = TaskParts.of(rows);
        List<Integer> shown = IntStream.range(0, table.columns().size())
                .filter(i -> isShown(table.columns().get(i))
                        && !parts.isOfPart(table.columns().get(i).name()))
                .filter(i -> table.cells(i).stream().anyMatch(cell -> !cell.equals("")))
                .boxed()
                .toList();
        Html html = new Html();
        html.element("p", "Click a header to sort. Settings that all runs share are left out.", "class", "note");
        html.open("div", "class", "scroll").open("table", "class", "sortable", "id", "summary");
        html.open("thead").open("tr");
        for (int i : shown.subList(0, Math.min(MOST_COLUMNS, shown.size()))) {
            String name = name(table.columns().get(i).name());
            html.open("th", "scope", "col")
                    .open("button", "type", "button")
                    .name(name)
                    .close()
                    .close();
        }
        html.close().close().open("tbody");
        List<Rounding> rounding = IntStream.range(0, table.columns().size())
                .mapToObj(i -> Rounding.of(table.cells(i).stream()
                        .filter(Number.class::isInstance)
                        .map(Number.class::cast)
                        .toList()))
                .toList();
        for (List<Object> row : table.rows()) {
            html.open("tr");
            for (int i : shown.subList(0, Math.min(MOST_COLUMNS, shown.size()))) {
                Column column = table.columns().get(i);
                cell(html, column, row.get(i), rounding.get(i));
            }
            html.close();
        }
        html.close().close().close();
        if (!parts.all().isEmpty()) {
            html.element(
                    "p",
                    "The parts of " + String.join(", ", parts.all().keySet()) + " are below the charts of tasks.",
                    "class",
                    "note");
        }
        if (shown.stream().anyMatch(i -> isAdapted(table.columns().get(i)))) {
            html.element(
                    "p",
                    Variant.ADAPTED.label()
                            + "/…: transductive, the last block was trained on the unlabelled test inputs.",
                    "class",
                    "note");
        }
        if (shown.size() > MOST_COLUMNS) {
            html.element(
                    "p",
                    (shown.size() - MOST_COLUMNS) + " more columns are left out; ptq collect has them all.",
                    "class",
                    "note");
        }
        return new ReportSection("runs", "Runs", html);
    }

    /** Returns whether a column is a result or a cost; reasons of failures are shown elsewhere. */
    private static boolean isShown(Column column) {
        return switch (column.kind()) {
            case ID, SETTING -> true;
            case MEASURE -> Measures.isResult(column.name()) || isCost(column.name());
            case REMARK -> column.name().equals(ResultTable.STATE);
            case MEAN, SPREAD, LOW, HIGH, COUNT -> false;
        };
    }

    private static boolean isAdapted(Column column) {
        return column.kind() == Kind.MEASURE && MetricName.parse(column.name()).variant() == Variant.ADAPTED;
    }

    private static boolean isCost(String name) {
        return name.equals(ResultRow.SECONDS) || name.equals(ResultRow.PEAK_MEMORY_BYTES);
    }

    private static String name(String column) {
        return column.equals(ResultRow.PEAK_MEMORY_BYTES) ? "peak memory, MiB" : Html.cut(column, 100);
    }

    private static void cell(Html html, Column column, Object value, Rounding rounding) {
        if (column.kind() == Kind.ID) {
            html.element("th", Html.cut(value.toString(), LONGEST_CELL), "scope", "row");
        } else if (column.name().equals(ResultRow.PEAK_MEMORY_BYTES) && value instanceof Number bytes) {
            html.element(
                    "td", String.valueOf(bytes.longValue() >> 20), "data-value", bytes.toString(), "class", "number");
        } else if (value instanceof Number number) {
            boolean measured = column.kind() == Kind.MEASURE;
            html.element(
                    "td",
                    measured ? rounding.text(number) : number.toString(),
                    "data-value",
                    number.toString(),
                    "class",
                    "number");
        } else {
            html.element("td", Html.cut(value.toString(), LONGEST_CELL));
        }
    }

    static ReportSection ofFailures(List<ResultRow> rows) {
        Html html = new Html();
        html.open("div", "class", "scroll").open("table").open("thead").open("tr");
        for (String name : List.of("run", "state", "error")) {
            html.element("th", name, "scope", "col");
        }
        html.close().close().open("tbody");
        rows.stream().filter(row -> !row.error().isEmpty()).forEach(row -> {
            html.open("tr").element("th", Html.cut(row.run(), LONGEST_CELL), "scope", "row");
            html.element("td", Html.cut(row.state(), LONGEST_CELL));
            html.element("td", Html.cut(row.error(), LONGEST_ERROR), "class", "long")
                    .close();
        });
        html.close().close().close();
        return new ReportSection("failures", "Failed and damaged runs", html);
    }
}
