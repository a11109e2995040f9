package dev.ptq.report;

import dev.ptq.artifact.Direction;
import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A table in the style of papers, in Markdown or LaTeX: measures are rounded, a mean and its spread share a cell.
 *
 * <p>The best values of a column may be bold: the lowest perplexity or loss, the highest accuracy or share recovered,
 * and all that show the same digits. Columns without a known direction, or with one number only, have none.
 */
public final class PaperTable {
    private final List<PaperColumn> columns = new ArrayList<>();
    /** The group of each row; the best is looked for within groups, but not in {@link PivotTable#BASELINE}. */
    private final List<Integer> groups;

    private final boolean boldBest;

    /**
     * The displayed form of a value.
     *
     * @param text empty if unknown
     * @param beside of the mean before it the deviation, then the two ends of its interval, as far as there are any
     */
    private record Cell(String text, List<String> beside, boolean bold) {}

    /**
     * A column of numbers, some of which may be missing, or of text.
     *
     * @param levels of its header, from the top
     */
    private record PaperColumn(List<String> levels, boolean numbers, List<Cell> cells) {
        String name() {
            return String.join(", ", levels);
        }
    }

    private PaperTable(List<Integer> groups, boolean boldBest) {
        this.groups = groups;
        this.boldBest = boldBest;
    }

    /** Rounds and pairs the columns of a table. */
    public static PaperTable of(ResultTable table) {
        return of(table, false);
    }

    /** The same with the best of each column in bold. */
    public static PaperTable withBestBold(ResultTable table) {
        return of(table, true);
    }

    private static PaperTable of(ResultTable table, boolean boldBest) {
        PaperTable paper = new PaperTable(Collections.nCopies(table.rows().size(), 0), boldBest);
        for (int i = 0; i < table.columns().size(); i++) {
            Column column = table.columns().get(i);
            boolean pair = column.kind() == Kind.MEAN
                    && i + 1 < table.columns().size()
                    && table.columns().get(i + 1).equals(new Column(column.measure() + "/std", Kind.SPREAD));
            String name = pair ? column.measure() : column.name();
            List<List<Object>> beside = pair ? List.of(table.cells(++i)) : List.of();
            paper.add(List.of(name), column.kind(), column.measure(), table.cells(pair ? i - 1 : i), beside);
        }
        return paper;
    }

    /** Rounds the cells of a pivot table; shares of documents are in percent. */
    public static PaperTable of(PivotTable pivot, boolean boldBest) {
        PaperTable paper = new PaperTable(pivot.groups(), boldBest);
        ResultTable table = pivot.table();
        int at = 0;
        for (; at < table.columns().size() && table.columns().get(at).kind() == Kind.ID; at++) {
            paper.add(List.of(table.columns().get(at).name()), Kind.ID, "", table.cells(at), List.of());
        }
        for (PivotTable.Place place : pivot.places()) {
            boolean percent = PivotTable.isPercent(place.metric());
            List<String> levels = new ArrayList<>(place.levels());
            if (percent) {
                levels.set(levels.size() - 1, levels.get(levels.size() - 1) + " (%)");
            }
            List<List<Object>> cells = new ArrayList<>();
            for (int i = 0; i < place.columns().size(); i++, at++) {
                cells.add(percent ? inPercent(table.cells(at)) : table.cells(at));
            }
            Kind kind = place.columns().get(0).kind();
            paper.add(levels, kind, place.metric(), cells.get(0), cells.subList(1, cells.size()));
        }
        return paper;
    }

    private static List<Object> inPercent(List<Object> shares) {
        return shares.stream()
                .<Object>map(share -> share instanceof Number number ? 100 * number.doubleValue() : share)
                .toList();
    }

    private void add(List<String> levels, Kind kind, String metric, List<Object> values, List<List<Object>> beside) {
        Rounding rounding = Rounding.of(numbers(values));
        boolean measured = kind == Kind.MEASURE || kind == Kind.MEAN || kind == Kind.SPREAD;
        List<String> texts = values.stream()
                .map(value -> measured && value instanceof Number number ? rounding.text(number) : value.toString())
                .toList();
        boolean onlyNumbers = !numbers(values).isEmpty()
                && values.stream().allMatch(value -> value instanceof Number || value.equals(""));
        boolean hasBest = boldBest && measured && onlyNumbers && kind != Kind.SPREAD;
        Direction better = Measures.better(metric);
        Map<Integer, String> bestOf = new HashMap<>();
        List<Cell> cells = new ArrayList<>();
        for (int i = 0; i < values.size(); i++) {
            int row = i;
            List<String> besides = beside.stream()
                    .map(column -> column.get(row))
                    .flatMap(value -> value instanceof Number number ? Stream.of(rounding.text(number)) : Stream.of())
                    .toList();
            String best =
                    hasBest ? bestOf.computeIfAbsent(groups.get(i), group -> best(better, group, values, texts)) : "";
            boolean bold = !best.isEmpty() && texts.get(i).equals(best);
            cells.add(new Cell(texts.get(i), besides, bold));
        }
        columns.add(new PaperColumn(List.copyOf(levels), onlyNumbers, cells));
    }

    private static List<Number> numbers(List<Object> values) {
        return values.stream()
                .filter(Number.class::isInstance)
                .map(Number.class::cast)
                .toList();
    }

    /** The displayed form of the best value of a group; empty where all look alike. */
    private String best(Direction better, int group, List<Object> values, List<String> texts) {
        List<Integer> known = IntStream.range(0, values.size())
                .filter(i -> group != PivotTable.BASELINE && groups.get(i) == group)
                .filter(i -> values.get(i) instanceof Number number && !Double.isNaN(number.doubleValue()))
                .boxed()
                .toList();
        if (better == Direction.NEITHER
                || known.stream().map(texts::get).distinct().count() < 2) {
            return "";
        }
        int best = known.get(0);
        for (int i : known) {
            int order =
                    Double.compare(((Number) values.get(i)).doubleValue(), ((Number) values.get(best)).doubleValue());
            if (better == Direction.LOWER ? order < 0 : order > 0) {
                best = i;
            }
        }
        return texts.get(best);
    }

    /** The table in Markdown as on GitHub. */
    public String markdown() {
        StringBuilder text = new StringBuilder();
        List<List<String>> lines = new ArrayList<>();
        for (PaperColumn column : columns) {
            List<String> line = new ArrayList<>();
            line.add(Markup.markdown(column.name()));
            line.add(column.numbers() ? "-:" : ":-");
            column.cells().forEach(cell -> line.add(markdown(cell, column.numbers())));
            lines.add(padded(line, column.numbers()));
        }
        for (int row = 0; row < groups.size() + 2; row++) {
            for (List<String> column : lines) {
                text.append("| ").append(column.get(row)).append(' ');
            }
            text.append("|\n");
        }
        return text.toString();
    }

    private static String markdown(Cell cell, boolean number) {
        if (cell.text().isEmpty()) {
            return number ? "–" : "";
        }
        String text = Markup.markdown(cell.text())
                + switch (cell.beside().size()) {
                    case 1 -> " ± " + cell.beside().get(0);
                    case 2 -> " \\[" + String.join(", ", cell.beside()) + "\\]";
                    case 3 ->
                        " ± " + cell.beside().get(0) + " \\["
                                + String.join(", ", cell.beside().subList(1, 3)) + "\\]";
                    default -> "";
                };
        return cell.bold() ? "**" + text + "**" : text;
    }

    /** Pads lines to the longest with blanks; the second, the rule below the header, with dashes. */
    private static List<String> padded(List<String> lines, boolean right) {
        int width = lines.stream().mapToInt(PaperTable::width).max().orElse(0);
        List<String> padded = new ArrayList<>();
        for (String line : lines) {
            String padding = (padded.size() == 1 ? "-" : " ").repeat(width - width(line));
            padded.add(right ? padding + line : line + padding);
        }
        return padded;
    }

    private static int width(String text) {
        return text.codePointCount(0, text.length());
    }

    /** The table for LaTeX with the package booktabs. */
    public String latex() {
        StringBuilder text = new StringBuilder("% \\usepackage{booktabs}\n\\begin{tabular}{");
        columns.forEach(column -> text.append(column.numbers() ? 'r' : 'l'));
        text.append("}\n\\toprule\n");
        latexHeader(text);
        for (int i = 0; i < groups.size(); i++) {
            int row = i;
            if (i == 0 || !groups.get(i).equals(groups.get(i - 1))) {
                text.append("\\midrule\n");
            }
            text.append(latexLine(columns.stream()
                    .map(column -> latex(column.cells().get(row), column.numbers()))
                    .toList()));
        }
        return text.append(groups.isEmpty() ? "\\midrule\n" : "")
                .append("\\bottomrule\n\\end{tabular}\n")
                .toString();
    }

    /**
     * The same as a float.
     *
     * @param caption above the table; empty for none
     * @param label to refer to it; empty for none
     */
    public String latex(String caption, String label) {
        return "\\begin{table}\n\\centering\n"
                + (caption.isEmpty() ? "" : "\\caption{" + Markup.latex(caption) + "}\n")
                + (label.isEmpty() ? "" : "\\label{" + label + "}\n")
                + latex()
                + "\\end{table}\n";
    }

    /** Adds the lines of names: those of one level that are alike and side by side share a cell and a rule. */
    private void latexHeader(StringBuilder text) {
        int depth = columns.stream()
                .mapToInt(column -> column.levels().size())
                .max()
                .orElse(0);
        for (int level = 0; level < depth; level++) {
            boolean isLast = level == depth - 1;
            List<String> cells = new ArrayList<>();
            StringBuilder rules = new StringBuilder();
            for (int from = 0, to; from < columns.size(); from = to) {
                List<String> above = above(from, level, depth);
                to = from + 1;
                while (!isLast
                        && !above.isEmpty()
                        && to < columns.size()
                        && above(to, level, depth).equals(above)) {
                    to++;
                }
                String name = above.isEmpty() ? "" : Markup.latex(above.get(above.size() - 1));
                boolean spans = !isLast && !above.isEmpty();
                cells.add(spans ? "\\multicolumn{" + (to - from) + "}{c}{" + name + "}" : name);
                if (spans) {
                    rules.append("\\cmidrule(lr){")
                            .append(from + 1)
                            .append('-')
                            .append(to)
                            .append("}");
                }
            }
            text.append(latexLine(cells)).append(rules).append(rules.isEmpty() ? "" : "\n");
        }
    }

    /** Returns the names of a column from the top to a level, the last ones at the bottom; empty above its first. */
    private List<String> above(int column, int level, int depth) {
        List<String> levels = columns.get(column).levels();
        return levels.subList(0, Math.max(0, level + 1 - (depth - levels.size())));
    }

    private static String latexLine(List<String> cells) {
        return String.join(" & ", cells) + " \\\\\n";
    }

    private static String latex(Cell cell, boolean number) {
        if (cell.text().isEmpty()) {
            return number ? "--" : "";
        }
        if (!number) {
            return Markup.latex(cell.text());
        }
        List<String> beside = cell.beside().stream().map(Markup::latexNumber).toList();
        String text = Markup.latexNumber(cell.text())
                + switch (beside.size()) {
                    case 1 -> " \\pm " + beside.get(0);
                    case 2 -> "\\ [" + String.join(", ", beside) + "]";
                    case 3 -> " \\pm " + beside.get(0) + "\\ [" + String.join(", ", beside.subList(1, 3)) + "]";
                    default -> "";
                };
        return cell.bold() ? "$\\mathbf{" + text + "}$" : "$" + text + "$";
    }
}
