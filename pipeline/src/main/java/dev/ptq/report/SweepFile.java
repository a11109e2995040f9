package dev.ptq.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** {@code sweep.json}: what became of the points of a sweep. Only those that failed are read; runs speak for themselves. */
final class SweepFile {
    static final String NAME = "sweep.json";

    /** A point without results. */
    record Failure(String point, String state, String error) {}

    private SweepFile() {}

    static List<Failure> failures(Path file) throws IOException {
        List<Failure> failures = new ArrayList<>();
        JsonNode points = JsonObject.object(file).get("points");
        if (points == null || !points.isArray()) {
            throw new IOException(NAME + ": expected a list of points");
        }
        for (JsonNode point : points) {
            Map<String, JsonNode> fields = JsonObject.members(point);
            String name = text(fields, "name");
            String state = text(fields, "state");
            String error = text(fields, "error");
            if (!name.isEmpty() && (state.equals("failed") || !error.isEmpty())) {
                failures.add(new Failure(
                        name, state.isEmpty() ? "failed" : state, error.isEmpty() ? "failed, no reason given" : error));
            }
        }
        return failures;
    }

    private static String text(Map<String, JsonNode> fields, String key) {
        JsonNode value = fields.get(key);
        return value == null || value.isNull() ? "" : value.isString() ? value.stringValue() : value.toString();
    }
}
