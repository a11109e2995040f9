package dev.ptq.report;

import java.util.List;
import java.util.Set;

/** Renders rows of cells as lines of text with aligned columns. */
public final class TextTable {
    private TextTable() {}

    /**
     * Renders rows, the first of which decides the number of cells. A row of one cell stands alone; all others have
     * that number.
     *
     * @param left the columns that are flush left, such as names; numbers are flush right
     */
    public static String render(List<String[]> rows, Set<Integer> left) {
        int columns = rows.get(0).length;
        int[] widths = new int[columns];
        for (String[] row : rows) {
            for (int i = 0; row.length == columns && i < columns; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < row.length; i++) {
                String padding = " ".repeat(Math.max(0, widths[i] - row[i].length()));
                line.append(i == 0 ? "" : "  ").append(left.contains(i) ? row[i] + padding : padding + row[i]);
            }
            text.append(line.toString().stripTrailing()).append(System.lineSeparator());
        }
        return text.toString();
    }
}
