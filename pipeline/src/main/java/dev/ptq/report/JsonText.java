package dev.ptq.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import tools.jackson.databind.json.JsonMapper;

/** Tables as JSON: an object for each row, with all digits and without the cells that are empty. */
public final class JsonText {
    private static final JsonMapper MAPPER = new JsonMapper();

    private JsonText() {}

    /** Returns the rows as one list. */
    public static String list(ResultTable table) {
        return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(rows(table)) + "\n";
    }

    /** Returns the rows as a line each. */
    public static String lines(ResultTable table) {
        return rows(table).stream()
                .map(row -> MAPPER.writeValueAsString(row) + "\n")
                .collect(Collectors.joining());
    }

    private static List<Map<String, Object>> rows(ResultTable table) {
        List<Map<String, Object>> rows = new ArrayList<>();
        for (List<Object> cells : table.rows()) {
            Map<String, Object> row = new LinkedHashMap<>();
            for (int i = 0; i < cells.size(); i++) {
                if (!cells.get(i).equals("")) {
                    row.put(table.columns().get(i).name(), plain(cells.get(i)));
                }
            }
            rows.add(row);
        }
        return rows;
    }

    /** JSON has no number that is not finite, nor dates. */
    private static Object plain(Object value) {
        if (value instanceof List<?> list) {
            return list.stream().map(JsonText::plain).toList();
        }
        boolean isPlain =
                value instanceof Number number ? Double.isFinite(number.doubleValue()) : value instanceof Boolean;
        return isPlain ? value : value.toString();
    }
}
