package dev.ptq.report;

import dev.ptq.artifact.PointState;
import dev.ptq.artifact.RunFiles;
import dev.ptq.config.TomlWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Reads {@code sweep.json} for the points of a sweep that failed, and for the alternatives of all of them; finished runs
 * are read from their own folders.
 */
final class SweepPoints {
    private static final String FAILED = PointState.FAILED.toString();

    /**
     * A point without results.
     *
     * @param changes {@code key=value} of the sweep, then of the point
     */
    record Failure(String point, String state, String error, List<String> changes) {}

    private SweepPoints() {}

    static List<Failure> failures(Path file) throws IOException {
        List<Failure> failures = new ArrayList<>();
        Map<String, JsonNode> sweep = JsonObject.object(file);
        JsonNode points = sweep.get("points");
        if (points == null || !points.isArray()) {
            throw new IOException(RunFiles.SWEEP + ": expected a list of points");
        }
        for (JsonNode point : points) {
            Map<String, JsonNode> fields = JsonObject.members(point);
            String name = text(fields, "name");
            String state = text(fields, "state");
            String error = text(fields, "error");
            if (!name.isEmpty() && (state.equals(FAILED) || !error.isEmpty())) {
                failures.add(new Failure(
                        name,
                        state.isEmpty() ? FAILED : state,
                        error.isEmpty() ? "failed, no reason given" : error,
                        changes(sweep.get("set"), fields.get("set"))));
            }
        }
        return failures;
    }

    /** Reads the alternatives of all points, by the name of the point; those without any are left out. */
    static Map<String, Map<String, String>> axes(Path file) throws IOException {
        Map<String, Map<String, String>> axes = new LinkedHashMap<>();
        JsonNode points = JsonObject.object(file).get("points");
        for (JsonNode point : points == null ? List.<JsonNode>of() : points) {
            Map<String, JsonNode> fields = JsonObject.members(point);
            JsonNode own = fields.get("axes");
            Map<String, String> alternatives = new LinkedHashMap<>();
            if (own != null && own.isObject()) {
                JsonObject.members(own).forEach((axis, name) -> {
                    if (name.isString()) {
                        alternatives.put(axis, name.stringValue());
                    }
                });
            }
            if (!alternatives.isEmpty()) {
                axes.put(text(fields, "name"), alternatives);
            }
        }
        return axes;
    }

    private static List<String> changes(@Nullable JsonNode ofSweep, @Nullable JsonNode ofPoint) {
        List<String> changes = new ArrayList<>();
        if (ofSweep != null && ofSweep.isArray()) {
            ofSweep.valueStream().filter(JsonNode::isString).forEach(change -> changes.add(change.stringValue()));
        }
        if (ofPoint != null) {
            JsonObject.members(ofPoint)
                    .forEach((key, value) ->
                            plain(value).ifPresent(plain -> changes.add(key + "=" + TomlWriter.inline(plain))));
        }
        return changes;
    }

    /** Converts a value to one that a config can have; none if that is impossible. */
    private static Optional<Object> plain(JsonNode node) {
        if (node.isObject()) {
            Map<String, Object> table = new LinkedHashMap<>();
            JsonObject.members(node).forEach((key, value) -> plain(value).ifPresent(plain -> table.put(key, plain)));
            return Optional.of(table);
        }
        if (node.isArray()) {
            return Optional.of(
                    node.valueStream().flatMap(item -> plain(item).stream()).toList());
        }
        if (node.isNumber()) {
            return Optional.of(
                    node.isIntegralNumber() && node.canConvertToLong()
                            ? (Object) node.longValue()
                            : node.numberValue().doubleValue());
        }
        return node.isString()
                ? Optional.of(node.stringValue())
                : node.isBoolean() ? Optional.of(node.booleanValue()) : Optional.empty();
    }

    private static String text(Map<String, JsonNode> fields, String key) {
        JsonNode value = fields.get(key);
        return value == null || value.isNull() ? "" : value.isString() ? value.stringValue() : value.toString();
    }
}
