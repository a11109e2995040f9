package dev.ptq.layout;

import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The description of a packed checkpoint, or a table within it: {@code quantization_config} of {@code config.json}, or the
 * file that older tools write instead.
 *
 * @param place file and keys on the way, for messages
 */
record QuantizationConfig(String place, JsonNode json) {
    private static final String CONFIG = "config.json";
    private static final String METHOD = "quant_method";

    /** The settings that files which repeat each other must agree on. */
    private static final List<String> REPEATED =
            List.of("bits", "group_size", "desc_act", "sym", "checkpoint_format", "zero_point", "version");

    private static final int MOST_BYTES = 1 << 24;

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    /** Returns the description in a folder, if there is one. */
    static Optional<QuantizationConfig> find(Path folder) throws IOException {
        Path file = folder.resolve(CONFIG);
        JsonNode config = read(file);
        JsonNode own = config.path("quantization_config");
        if (isAbsent(own)) {
            own = config.path("text_config").path("quantization_config");
        }
        Optional<QuantizationConfig> other = other(folder);
        if (isAbsent(own)) {
            return other;
        }
        QuantizationConfig found = new QuantizationConfig(file + ": quantization_config", own);
        if (other.isPresent()) {
            found.compare(other.get());
        }
        return Optional.of(found);
    }

    private static Optional<QuantizationConfig> other(Path folder) throws IOException {
        for (Path file : ModelFolder.packingFiles(folder)) {
            return Optional.of(new QuantizationConfig(file.toString(), read(file)));
        }
        return Optional.empty();
    }

    private void compare(QuantizationConfig other) throws IOException {
        for (String key : REPEATED) {
            JsonNode mine = json.path(key);
            JsonNode its = other.json().path(key);
            boolean differ = (mine.isString() && its.isString())
                    ? !mine.asString().equalsIgnoreCase(its.asString())
                    : !mine.equals(its);
            if (!isAbsent(mine) && !isAbsent(its) && differ) {
                throw new IOException(place + "." + key + ": is " + mine + ", but " + its + " in " + other.place()
                        + "; only one of them can describe the tensors: correct or remove the other");
            }
        }
    }

    private static JsonNode read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new IOException(file + ": no such file; expected a Hugging Face model folder");
        }
        if (Files.size(file) > MOST_BYTES) {
            throw new IOException(file + ": expected at most " + MOST_BYTES + " bytes, got " + Files.size(file));
        }
        try {
            return MAPPER.readTree(Files.readAllBytes(file));
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    private static boolean isAbsent(JsonNode node) {
        return node.isMissingNode() || node.isNull();
    }

    /** Returns the method that the checkpoint was quantized by. */
    String method() throws IOException {
        if (place.endsWith(ModelFolder.MODELOPT_PACKING)) {
            return "modelopt";
        }
        if (has(METHOD)) {
            return text(METHOD);
        }
        if (place.endsWith(ModelFolder.AWQ_PACKING)) {
            return "awq";
        }
        if (place.endsWith(ModelFolder.GPTQ_PACKING)) {
            return has("w_bit") ? "awq" : "gptq";
        }
        throw wrong(METHOD, "a method");
    }

    boolean has(String key) {
        return !isAbsent(json.path(key));
    }

    /** Returns a table. */
    QuantizationConfig table(String key) throws IOException {
        if (!json.path(key).isObject()) {
            throw wrong(key, "a table");
        }
        return new QuantizationConfig(place + "." + key, json.path(key));
    }

    /** Returns the tables of a table, in order. */
    List<QuantizationConfig> tables(String key) throws IOException {
        List<QuantizationConfig> tables = new ArrayList<>();
        QuantizationConfig all = table(key);
        for (String name : all.json().propertyNames()) {
            tables.add(all.table(name));
        }
        return tables;
    }

    String text(String key) throws IOException {
        if (!json.path(key).isString()) {
            throw wrong(key, "a word");
        }
        return json.path(key).asString();
    }

    String text(String key, String preset) throws IOException {
        return has(key) ? text(key) : preset;
    }

    int number(String key) throws IOException {
        JsonNode node = json.path(key);
        if (!node.isIntegralNumber() || !node.canConvertToInt()) {
            throw wrong(key, "a whole number");
        }
        return node.asInt();
    }

    int number(String key, int preset) throws IOException {
        return has(key) ? number(key) : preset;
    }

    double decimal(String key, double preset) throws IOException {
        if (has(key) && !json.path(key).isNumber()) {
            throw wrong(key, "a number");
        }
        return has(key) ? json.path(key).asDouble() : preset;
    }

    boolean flag(String key) throws IOException {
        if (!json.path(key).isBoolean()) {
            throw wrong(key, "true or false");
        }
        return json.path(key).asBoolean();
    }

    boolean flag(String key, boolean preset) throws IOException {
        return has(key) ? flag(key) : preset;
    }

    /** Returns words; none if the key is left out. */
    List<String> texts(String key) throws IOException {
        List<String> texts = new ArrayList<>();
        if (has(key)) {
            if (!json.path(key).isArray()) {
                throw wrong(key, "a list of words");
            }
            for (JsonNode item : json.path(key)) {
                if (!item.isString()) {
                    throw wrong(key, "a list of words");
                }
                texts.add(item.asString());
            }
        }
        return texts;
    }

    /** Returns two whole numbers, each at least 1. */
    List<Integer> pair(String key) throws IOException {
        JsonNode node = json.path(key);
        boolean isPair = node.isArray() && node.size() == 2;
        for (JsonNode item : node) {
            isPair &= item.isIntegralNumber() && item.canConvertToInt() && item.asInt() > 0;
        }
        if (!isPair) {
            throw wrong(key, "two positive whole numbers");
        }
        return List.of(node.get(0).asInt(), node.get(1).asInt());
    }

    /** Checks that a setting has one of the values that are read here. */
    void expect(String key, String preset, String... read) throws IOException {
        String found = text(key, preset);
        if (!List.of(read).contains(found)) {
            throw wrong(key, "one of " + List.of(read));
        }
    }

    /** Checks that a setting is left out, null, false, or an empty list or table. */
    void expectNone(String key) throws IOException {
        JsonNode node = json.path(key);
        boolean isNone = isAbsent(node)
                || (node.isBoolean() && !node.asBoolean())
                || ((node.isArray() || node.isObject()) && node.isEmpty());
        if (!isNone) {
            throw wrong(key, "nothing, since it is not read");
        }
    }

    /** Returns a regular expression as Python writes it. */
    Pattern pattern(String key, String expression) throws IOException {
        try {
            return Pattern.compile(expression.replace("(?P<", "(?<"));
        } catch (PatternSyntaxException e) {
            throw new IOException(
                    place + "." + key + ": expected a regular expression, got '" + expression + "': "
                            + e.getDescription(),
                    e);
        }
    }

    IOException wrong(String key, String expected) {
        return new IOException(
                place + "." + key + ": expected " + expected + ", got " + (json.has(key) ? json.path(key) : "nothing"));
    }
}
