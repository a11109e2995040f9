package dev.ptq.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The metrics of one run as a table for a terminal. */
public final class MetricsTable {
    private MetricsTable() {}

    /** Renders flat metrics: a row for each text with all variants side by side, then what does not belong to a text. */
    public static String render(Map<String, Object> metrics) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {
            "perplexity", "full precision", "round to nearest", "this run", "loss recovered", "protocol", "tokens"
        });
        for (String key : metrics.keySet()) {
            String name = key.substring(key.indexOf('/') + 1);
            if (key.startsWith("perplexity/") && name.indexOf('/') < 0) {
                rows.add(new String[] {
                    name,
                    number(metrics, "full_precision/" + key, "%.4f"),
                    number(metrics, "round_to_nearest/" + key, "%.4f"),
                    number(metrics, key, "%.4f"),
                    number(metrics, "loss_recovered/" + name, "%.3f"),
                    metrics.get(key + "/protocol") + " " + metrics.get(key + "/seq_len"),
                    String.valueOf(metrics.get(key + "/tokens"))
                });
            }
        }
        StringBuilder text = new StringBuilder();
        if (rows.size() > 1) {
            append(text, rows);
        }
        text.append(String.format(Locale.ROOT, "bits per weight: %s%n", number(metrics, "bits_per_weight", "%.3f")));
        return text.toString();
    }

    private static String number(Map<String, Object> metrics, String key, String format) {
        return metrics.get(key) instanceof Number value ? String.format(Locale.ROOT, format, value.doubleValue()) : "-";
    }

    private static void append(StringBuilder text, List<String[]> rows) {
        int columns = rows.get(0).length;
        int[] widths = new int[columns];
        for (String[] row : rows) {
            for (int i = 0; i < columns; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < columns; i++) {
                String padding = " ".repeat(widths[i] - row[i].length());
                // names to the left, numbers to the right
                line.append(i == 0 ? row[i] + padding : "  " + padding + row[i]);
            }
            text.append(line.toString().stripTrailing()).append(System.lineSeparator());
        }
    }
}
