package dev.ptq.report;

import dev.ptq.run.SmallFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.cfg.JsonNodeFeature;
import tools.jackson.databind.json.JsonMapper;

/** Reads JSON files that anyone may have written, see {@link SmallFile}. Messages name them without their folder. */
final class JsonObject {
    static final int MOST_BYTES = 4 << 20;

    /** Python writes NaN and Infinity; digits are kept as written. */
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .enable(JsonNodeFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    private JsonObject() {}

    /** Reads the members of the object in a file. */
    static Map<String, JsonNode> object(Path file) throws IOException {
        JsonNode content;
        try {
            content = JSON.readTree(SmallFile.read(file, String.valueOf(file.getFileName()), MOST_BYTES));
        } catch (JacksonException e) {
            // without the parser's note on where a truncated object began
            String reason = e.getOriginalMessage().replaceFirst("(?s) \\(start marker at .*", "");
            throw new IOException(file.getFileName() + ": not valid JSON: " + reason, e);
        } catch (NumberFormatException e) { // from an exponent beyond an int, which the parser does not wrap
            throw new IOException(file.getFileName() + ": has a number that is too large", e);
        }
        if (!content.isObject()) {
            throw new IOException(file.getFileName() + ": expected an object");
        }
        return members(content);
    }

    /** The members of a node in order; empty unless it is an object. */
    static Map<String, JsonNode> members(JsonNode node) {
        Map<String, JsonNode> members = new LinkedHashMap<>();
        node.properties().forEach(entry -> members.put(entry.getKey(), entry.getValue()));
        return members;
    }
}
