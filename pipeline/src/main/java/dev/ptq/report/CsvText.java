package dev.ptq.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVPrinter;

/** Tables as comma-separated values, with all digits. */
public final class CsvText {
    /** First characters that make a text a formula in a spreadsheet. */
    private static final String FORMULAS = "=+-@\t\r\n";

    /** Control characters that a terminal would obey. */
    private static final Pattern COMMANDS = Pattern.compile("[\\p{Cntrl}\u0080-\u009f&&[^\t\r\n]]");

    private CsvText() {}

    /** The table below a line of its column names. Text that a spreadsheet would execute gets an apostrophe. */
    public static String of(ResultTable table) {
        StringBuilder text = new StringBuilder();
        CSVFormat format = CSVFormat.DEFAULT.builder().setRecordSeparator('\n').get();
        try (CSVPrinter printer = new CSVPrinter(text, format)) {
            printer.printRecord(
                    table.columns().stream().map(column -> cell(column.name())).toList());
            for (List<Object> row : table.rows()) {
                printer.printRecord(row.stream().map(CsvText::cell).toList());
            }
        } catch (IOException e) {
            throw new UncheckedIOException("a text in memory takes everything", e);
        }
        return text.toString();
    }

    private static String cell(Object value) {
        String text = COMMANDS.matcher(value.toString()).replaceAll(" ");
        boolean formula = !(value instanceof Number) && !text.isEmpty() && FORMULAS.indexOf(text.charAt(0)) >= 0;
        return formula ? "'" + text : text;
    }
}
