package dev.ptq.report;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.cfg.JsonNodeFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * Files that anyone may have written: read only if they are plain files, not links, and small. Messages name them
 * without their folder.
 */
final class SmallFile {
    private static final int MOST_BYTES = 4 << 20;

    /** Python writes NaN and Infinity; digits are kept as they are written. */
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .enable(JsonNodeFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    private SmallFile() {}

    static byte[] bytes(Path file) throws IOException {
        return bytes(file, MOST_BYTES);
    }

    static String text(Path file, int mostBytes) throws IOException {
        return new String(bytes(file, mostBytes), StandardCharsets.UTF_8);
    }

    /** The members of an object; null for none. */
    static Map<String, JsonNode> object(Path file) throws IOException {
        JsonNode content;
        try {
            content = JSON.readTree(bytes(file));
        } catch (JacksonException e) {
            // without the parser's account of where an object that is cut off has begun
            String reason = e.getOriginalMessage().replaceFirst("(?s) \\(start marker at .*", "");
            throw new IOException(file.getFileName() + ": not valid JSON: " + reason, e);
        }
        if (!content.isObject()) {
            throw new IOException(file.getFileName() + ": expected an object");
        }
        return members(content);
    }

    /** The members of a node in their order; none unless it is an object. */
    static Map<String, JsonNode> members(JsonNode node) {
        Map<String, JsonNode> members = new LinkedHashMap<>();
        node.properties().forEach(entry -> members.put(entry.getKey(), entry.getValue()));
        return members;
    }

    private static byte[] bytes(Path file, int mostBytes) throws IOException {
        try {
            BasicFileAttributes attributes =
                    Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            if (!attributes.isRegularFile()) {
                throw new IOException(file.getFileName() + ": expected a plain file");
            }
            requireSmall(file, attributes.size(), mostBytes);
            try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
                byte[] bytes = in.readNBytes(mostBytes + 1);
                requireSmall(file, bytes.length, mostBytes);
                return bytes;
            }
        } catch (NoSuchFileException e) {
            throw new IOException(file.getFileName() + ": missing", e);
        } catch (AccessDeniedException e) {
            throw new IOException(file.getFileName() + ": access denied", e);
        }
    }

    private static void requireSmall(Path file, long size, int mostBytes) throws IOException {
        if (size > mostBytes) {
            throw new IOException(file.getFileName() + ": expected at most " + (mostBytes >> 20) + " MiB, found "
                    + (size >> 20) + " MiB or more");
        }
    }
}
