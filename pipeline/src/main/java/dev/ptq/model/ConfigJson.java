package dev.ptq.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads the keys of a model folder's {@code config.json} for the families: every error names file and key. */
record ConfigJson(Path file, JsonNode json) {
    static ConfigJson read(Path folder) throws IOException {
        Path file = folder.resolve("config.json");
        if (!Files.exists(file)) {
            throw new IOException(file + ": no such file; expected a Hugging Face model folder");
        }
        try {
            return new ConfigJson(file, JsonMapper.shared().readTree(Files.readAllBytes(file)));
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    /** The family named by {@code model_type}. */
    Family family() throws IOException {
        JsonNode type = json.path("model_type");
        for (Family family : Families.ALL) {
            if (type.isString() && family.modelType().equals(type.asString())) {
                return family;
            }
        }
        List<String> known = Families.ALL.stream().map(Family::modelType).toList();
        throw wrong("model_type", "expected one of " + known + ", got " + type);
    }

    /** The rotary embedding, from {@code rope_parameters} or {@code rope_scaling} and {@code rope_theta}. */
    Rope rope() throws IOException {
        String table = json.hasNonNull("rope_parameters") ? "rope_parameters" : "rope_scaling";
        JsonNode settings = json.path(table);
        if (json.hasNonNull(table) && !settings.isObject()) {
            throw wrong(table, "expected an object, got " + settings);
        }
        double theta = number(table + ".rope_theta", number("rope_theta", 10000));
        String type = settings.path("rope_type").asString(settings.path("type").asString("default"));
        Rope.Scaling scaling = switch (type) {
            case "default" -> new Rope.Unscaled();
            case "linear" -> new Rope.Linear(required(table + ".factor"));
            case "llama3" ->
                new Rope.Llama3(
                        required(table + ".factor"),
                        required(table + ".low_freq_factor"),
                        required(table + ".high_freq_factor"),
                        (int) required(table + ".original_max_position_embeddings"));
            default ->
                throw wrong(table + ".rope_type", "expected one of [default, linear, llama3], got \"" + type + "\"");
        };
        return new Rope(theta, scaling);
    }

    int divided(int hidden, int heads) throws IOException {
        if (hidden % heads != 0 && !json.hasNonNull("head_dim")) {
            throw wrong("num_attention_heads", "expected a divisor of hidden_size " + hidden + ", got " + heads);
        }
        return Math.max(1, hidden / heads);
    }

    int size(String key, @Nullable Integer preset) throws IOException {
        JsonNode node = json.path(key);
        if (node.isMissingNode() || node.isNull()) {
            if (preset == null) {
                throw wrong(key, "is missing");
            }
            return preset;
        }
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.asInt() < 1) {
            throw wrong(key, "expected a whole number of at least 1, got " + node);
        }
        return node.asInt();
    }

    /** The number at a key, or at {@code table.key}. */
    double number(String path, double preset) throws IOException {
        JsonNode node = json;
        for (String key : path.split("\\.", -1)) {
            node = node.path(key);
        }
        if (node.isMissingNode() || node.isNull()) {
            return preset;
        }
        if (!node.isNumber() || !(node.asDouble() > 0) || Double.isInfinite(node.asDouble())) {
            throw wrong(path, "expected a positive number, got " + node);
        }
        return node.asDouble();
    }

    double required(String path) throws IOException {
        double number = number(path, Double.NaN);
        if (Double.isNaN(number)) {
            throw wrong(path, "is missing");
        }
        return number;
    }

    boolean flag(String key, boolean preset) throws IOException {
        JsonNode node = json.path(key);
        if (node.isMissingNode() || node.isNull()) {
            return preset;
        }
        if (!node.isBoolean()) {
            throw wrong(key, "expected true or false, got " + node);
        }
        return node.asBoolean();
    }

    void expect(String key, String only) throws IOException {
        JsonNode node = json.path(key);
        boolean leftOut = node.isMissingNode() || node.isNull();
        if (!leftOut && !(node.isString() && node.asString().equals(only))) {
            throw wrong(key, "expected \"" + only + "\", got " + node);
        }
    }

    IOException wrong(String key, String what) {
        return new IOException(file + ": " + key + ": " + what);
    }
}
