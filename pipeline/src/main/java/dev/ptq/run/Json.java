package dev.ptq.run;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** Reads and writes records as JSON: indented, snake_case keys in component order, empty optionals left out. */
public final class Json {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .disable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
            .enable(SerializationFeature.INDENT_OUTPUT)
            .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .changeDefaultPropertyInclusion(value -> value.withValueInclusion(JsonInclude.Include.NON_ABSENT))
            .build();

    private Json() {}

    /** Writes a new file; fails if it exists. */
    static void write(Path file, Record value) throws IOException {
        Files.writeString(file, MAPPER.writeValueAsString(value) + "\n", StandardOpenOption.CREATE_NEW);
    }

    /** Writes or replaces a file, see {@link AtomicFile}. */
    public static void replace(Path file, Record value) throws IOException {
        AtomicFile.replace(file, MAPPER.writeValueAsString(value) + "\n");
    }

    /** Reads a file, which anyone may have written. */
    public static <T extends Record> T read(Path file, Class<T> type) throws IOException {
        return parse(SmallFile.read(file), file.toString(), type);
    }

    /** Parses the contents of a file, called {@code source} in messages. */
    static <T extends Record> T parse(byte[] json, String source, Class<T> type) throws IOException {
        try {
            return Optional.ofNullable(MAPPER.readValue(json, type))
                    .orElseThrow(() -> new IOException(source + ": expected an object, got null"));
        } catch (JacksonException e) {
            throw new IOException(source + ": " + e.getOriginalMessage(), e);
        }
    }
}
