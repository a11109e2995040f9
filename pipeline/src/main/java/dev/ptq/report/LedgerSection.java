package dev.ptq.report;

import dev.ptq.artifact.FoldColumn;
import dev.ptq.artifact.LedgerColumn;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.artifact.RunFiles;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What went otherwise than configs may lead one to expect, and how far rotations and transformations moved what is computed
 * in full precision.
 */
final class LedgerSection {
    private static final int MOST_ROWS = 500;
    private static final int LONGEST = 300;

    private final List<List<String>> events = new ArrayList<>();
    private final List<List<String>> folds = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();

    private LedgerSection() {}

    static ReportSection of(List<ResultRow> rows) {
        LedgerSection section = new LedgerSection();
        rows.stream().filter(row -> !row.config().isEmpty()).forEach(row -> {
            section.read(row, section::readEvents);
            section.read(row, section::readFolds);
        });
        return section.write();
    }

    @FunctionalInterface
    private interface Reading {
        void read(ResultRow row) throws IOException;
    }

    private void read(ResultRow row, Reading reading) {
        try {
            reading.read(row);
        } catch (IOException e) {
            notes.add(row.run() + ": " + e.getMessage());
        }
    }

    /** A row for each event and source. */
    private void readEvents(ResultRow row) throws IOException {
        Map<LedgerEvent, Map<String, List<LedgerEntry>>> kinds = new TreeMap<>();
        for (List<String> cells : RunTable.rows(row.folder(), RunFiles.LEDGER, LedgerColumn.values())) {
            LedgerEntry entry = LedgerEntry.of(cells)
                    .orElseThrow(() -> new IOException(RunFiles.LEDGER + ": expected an event and an amount"));
            kinds.computeIfAbsent(entry.event(), event -> new LinkedHashMap<>())
                    .computeIfAbsent(entry.source(), source -> new ArrayList<>())
                    .add(entry);
        }
        kinds.forEach((event, sources) -> sources.forEach((source, entries) -> events.add(List.of(
                row.run(),
                source,
                entries.size() + " " + event.plural(),
                entries.get(0).place() + ": " + entries.get(0).note(),
                event.remedy()))));
    }

    /** A row for each step, with its largest distance. */
    private void readFolds(ResultRow row) throws IOException {
        String name = RunFiles.APPROXIMATE + "/" + RunFiles.FOLDS;
        Map<String, List<String>> largest = new LinkedHashMap<>();
        for (List<String> cells :
                RunTable.rows(row.folder(), name, FoldColumn.METHOD, FoldColumn.BLOCK, FoldColumn.DISTANCE)) {
            largest.merge(cells.get(0), cells, (known, other) -> distance(other) > distance(known) ? other : known);
        }
        largest.forEach((method, cells) -> {
            String block = cells.get(1);
            folds.add(List.of(
                    row.run(),
                    method,
                    block.isEmpty() ? "model" : "block " + block,
                    String.format(Locale.ROOT, "%.1e", distance(cells))));
        });
    }

    private static double distance(List<String> cells) {
        try {
            return Double.parseDouble(cells.get(2));
        } catch (NumberFormatException e) {
            return Double.NaN;
        }
    }

    private ReportSection write() {
        String id = "ledger";
        String title = "Ledger";
        Html html = new Html();
        if (events.isEmpty()) {
            html.element("p", "Nothing went otherwise than the configs say.", "class", "note");
        } else {
            table(html, List.of("run", "source", "what", "such as", "what to do"), events);
        }
        if (!folds.isEmpty()) {
            html.element("h3", "What folds leave of the function");
            html.element(
                    "p",
                    "In full precision, the largest difference of a value as a share of the largest magnitude: of the"
                            + " logits for a rotation, of a block's output for a transformation, after each step.",
                    "class",
                    "note");
            table(html, List.of("run", "step", "where most", "distance"), folds);
        }
        String unread = notes.stream().limit(MOST_ROWS).collect(Collectors.joining("; "));
        if (!unread.isEmpty()) {
            html.element("p", Html.cut(unread, LONGEST), "class", "note");
        }
        return new ReportSection(id, title, html);
    }

    private static void table(Html html, List<String> header, List<List<String>> rows) {
        html.open("div", "class", "scroll").open("table").open("thead").open("tr");
        header.forEach(name -> html.element("th", name, "scope", "col"));
        html.close().close().open("tbody");
        rows.stream().limit(MOST_ROWS).forEach(row -> {
            html.open("tr").element("th", Html.cut(row.get(0), LONGEST), "scope", "row");
            row.subList(1, row.size()).forEach(cell -> html.element("td", Html.cut(cell, LONGEST), "class", "long"));
            html.close();
        });
        html.close().close().close();
        if (rows.size() > MOST_ROWS) {
            html.element("p", "the first " + MOST_ROWS + " of " + rows.size() + " rows", "class", "note");
        }
    }
}
