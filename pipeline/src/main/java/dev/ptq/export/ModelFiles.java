package dev.ptq.export;

import dev.ptq.data.Tokenizer;
import dev.ptq.family.ModelConfig;
import dev.ptq.gguf.Gguf;
import dev.ptq.gguf.GgufTokenizer;
import dev.ptq.weights.ModelFolder;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The files of a model folder beside its weights: those of the model that a run started from, with what is new. */
final class ModelFiles {
    private static final String CONFIG = "config.json";
    private static final String GENERATION = "generation_config.json";
    private static final String PACKING = "quantization_config";

    /** The spellings of the type of values, older first. */
    private static final List<String> TYPE = List.of("torch_dtype", "dtype");

    /** What tokenizers are made of, in all programs. */
    private static final List<String> TOKENIZER = List.of(
            Tokenizer.FILE,
            Tokenizer.CONFIG,
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "merges.txt",
            "tokenizer.model",
            "chat_template.jinja");

    /** The largest tokenizers have a tenth. */
    private static final long MOST_BYTES = 1L << 30;

    /** Python writes infinity as a word, in configs too. */
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .build();

    private ModelFiles() {}

    /**
     * Writes them.
     *
     * @param model that the run started from
     * @param shape of the exported model
     * @param packing the new {@code quantization_config}; empty if weights are not packed
     */
    static void write(
            Path folder,
            ModelFolder model,
            ModelConfig shape,
            StoredType type,
            Optional<Map<String, @Nullable Object>> packing)
            throws IOException {
        ObjectNode config = config(model.path());
        String typeName = type == StoredType.F32 ? "float32" : "bfloat16";
        adapt(config, shape, typeName, true);
        // that of a model with a vision part
        if (config.get("text_config") instanceof ObjectNode text) {
            adapt(text, shape, typeName, false);
        }
        packing.ifPresent(description -> config.set(PACKING, JSON.valueToTree(description)));
        writeJson(folder.resolve(CONFIG), config);
        if (!isGguf(model.path())) {
            copy(model.path().resolve(GENERATION), folder.resolve(GENERATION));
        }
        writeTokenizer(folder, model.tokenizer());
    }

    private static void adapt(ObjectNode config, ModelConfig shape, String type, boolean isOuter) {
        config.remove(PACKING);
        String key = config.has(TYPE.get(1)) ? TYPE.get(1) : TYPE.get(0);
        if (isOuter || config.has(key)) {
            TYPE.forEach(config::remove);
            config.put(key, type);
        }
        if (isOuter || config.has("tie_word_embeddings")) {
            config.put("tie_word_embeddings", shape.vocabulary().tied());
        }
    }

    private static ObjectNode config(Path model) throws IOException {
        if (isGguf(model)) {
            return JSON.valueToTree(Gguf.open(model).config());
        }
        Path file = model.resolve(CONFIG);
        try {
            JsonNode read = JSON.readTree(Files.readAllBytes(file));
            if (read instanceof ObjectNode config) {
                return config;
            }
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        throw new IOException(file + ": expected an object");
    }

    private static void writeTokenizer(Path folder, Path place) throws IOException {
        if (isGguf(place)) {
            GgufTokenizer tokenizer = Gguf.open(place).tokenizer();
            Files.writeString(folder.resolve(Tokenizer.FILE), tokenizer.json());
            writeJson(folder.resolve(Tokenizer.CONFIG), JSON.valueToTree(tokenizer.config()));
            return;
        }
        if (Files.isDirectory(place)) {
            for (String name : TOKENIZER) {
                copy(place.resolve(name), folder.resolve(name));
            }
            return;
        }
        copy(place, folder.resolve(Tokenizer.FILE));
        copy(place.resolveSibling(Tokenizer.CONFIG), folder.resolve(Tokenizer.CONFIG));
    }

    /** Copies a file if there is one. In a cache of the hub it is a link. */
    private static void copy(Path from, Path to) throws IOException {
        if (!Files.isRegularFile(from)) {
            return;
        }
        if (Files.size(from) > MOST_BYTES) {
            throw new IOException(from + ": expected at most " + MOST_BYTES + " bytes, got " + Files.size(from));
        }
        Files.write(to, Files.readAllBytes(from));
    }

    private static boolean isGguf(Path path) {
        return Gguf.isNameOf(path) && Files.isRegularFile(path);
    }

    private static void writeJson(Path file, JsonNode content) throws IOException {
        Files.writeString(file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(content) + "\n");
    }
}
