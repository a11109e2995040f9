package dev.ptq.report;

import dev.ptq.artifact.Direction;
import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A table in the style of papers, in Markdown or LaTeX: measures are rounded, a mean and its spread share a cell.
 *
 * <p>The best values of a column may be bold: the lowest perplexity or loss, the highest accuracy or share recovered,
 * and all that show the same digits. Columns without a known direction, or with one number only, have none.
 */
public final class PaperTable {
    private final List<PaperColumn> columns = new ArrayList<>();
    private final int rows;

    /**
     * The displayed form of a value.
     *
     * @param text empty if unknown
     * @param spread of the mean before it; empty if there is none
     */
    private record Cell(String text, String spread, boolean bold) {}

    /** A column of numbers, some of which may be missing, or of text. */
    private record PaperColumn(String name, boolean numbers, List<Cell> cells) {}

    private PaperTable(ResultTable table, boolean boldBest) {
        rows = table.rows().size();
        for (int i = 0; i < table.columns().size(); i++) {
            Column column = table.columns().get(i);
            boolean pair = column.kind() == Kind.MEAN
                    && i + 1 < table.columns().size()
                    && table.columns().get(i + 1).equals(new Column(column.measure() + "/std", Kind.SPREAD));
            List<Object> values = table.cells(i);
            if (pair) {
                i++;
                columns.add(column(column.measure(), column, values, table.cells(i), boldBest));
            } else {
                columns.add(column(column.name(), column, values, List.of(), boldBest));
            }
        }
    }

    /** Rounds and pairs the columns of a table. */
    public static PaperTable of(ResultTable table) {
        return new PaperTable(table, false);
    }

    /** The same with the best of each column in bold. */
    public static PaperTable withBestBold(ResultTable table) {
        return new PaperTable(table, true);
    }

    private static PaperColumn column(
            String name, Column column, List<Object> values, List<Object> spreads, boolean boldBest) {
        List<Number> numbers = numbers(values);
        boolean measured = column.kind() == Kind.MEASURE || column.kind() == Kind.MEAN || column.kind() == Kind.SPREAD;
        Rounding rounding = Rounding.of(numbers);
        List<String> texts = values.stream()
                .map(value -> measured && value instanceof Number number ? rounding.text(number) : value.toString())
                .toList();
        boolean onlyNumbers =
                !numbers.isEmpty() && values.stream().allMatch(value -> value instanceof Number || value.equals(""));
        String best = boldBest && measured && onlyNumbers && column.kind() != Kind.SPREAD
                ? best(Measures.better(column.measure()), values, texts)
                : "";
        List<Cell> cells = IntStream.range(0, values.size())
                .mapToObj(i -> new Cell(
                        texts.get(i),
                        i < spreads.size() && spreads.get(i) instanceof Number number ? rounding.text(number) : "",
                        !best.isEmpty() && texts.get(i).equals(best)))
                .toList();
        return new PaperColumn(name, onlyNumbers, cells);
    }

    private static List<Number> numbers(List<Object> values) {
        return values.stream()
                .filter(Number.class::isInstance)
                .map(Number.class::cast)
                .toList();
    }

    /** The displayed form of the best value; empty where all look alike. */
    private static String best(Direction better, List<Object> values, List<String> texts) {
        List<Integer> known = IntStream.range(0, values.size())
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
        for (int row = 0; row < rows + 2; row++) {
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
        String text = Markup.markdown(cell.text()) + (cell.spread().isEmpty() ? "" : " ± " + cell.spread());
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
        text.append(latexLine(
                columns.stream().map(column -> Markup.latex(column.name())).toList()));
        text.append("\\midrule\n");
        for (int i = 0; i < rows; i++) {
            int row = i;
            text.append(latexLine(columns.stream()
                    .map(column -> latex(column.cells().get(row), column.numbers()))
                    .toList()));
        }
        return text.append("\\bottomrule\n\\end{tabular}\n").toString();
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
        String text = Markup.latexNumber(cell.text())
                + (cell.spread().isEmpty() ? "" : " \\pm " + Markup.latexNumber(cell.spread()));
        return cell.bold() ? "$\\mathbf{" + text + "}$" : "$" + text + "$";
    }
}
