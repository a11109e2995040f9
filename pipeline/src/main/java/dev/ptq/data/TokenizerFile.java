package dev.ptq.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What can be read in {@code tokenizer.json} itself, without the library that runs it.
 *
 * @param content of the file
 * @param hasDropout whether it cuts words at random
 * @param postProcessor which adds special tokens
 */
record TokenizerFile(String content, boolean hasDropout, JsonNode postProcessor) {
    private static final String ADD_BOS = "add_bos_token";
    /** Reads values that something follows. */
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .disable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    /**
     * Reads it to its end; the vocabulary, most of it, is passed over.
     *
     * @param file for messages
     * @throws IOException if it is not JSON
     */
    static TokenizerFile read(Path file, String content) throws IOException {
        boolean hasDropout = false;
        JsonNode postProcessor = JsonMapper.shared().missingNode();
        try (JsonParser parser = MAPPER.createParser(content)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException(file + ": expected a JSON object");
            }
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = parser.currentName();
                JsonToken value = parser.nextToken();
                if (name.equals("model") && value == JsonToken.START_OBJECT) {
                    hasDropout = hasDropout(parser);
                } else if (name.equals("post_processor")) {
                    postProcessor = MAPPER.readTree(parser);
                } else {
                    parser.skipChildren();
                }
            }
            if (parser.nextToken() != null) {
                throw new IOException(file + ": not valid JSON: something follows the object");
            }
            return new TokenizerFile(content, hasDropout, postProcessor);
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    private static boolean hasDropout(JsonParser parser) {
        boolean hasDropout = false;
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            boolean isDropout = parser.currentName().equals("dropout");
            JsonToken value = parser.nextToken();
            if (isDropout && value.isNumeric()) {
                hasDropout = parser.getDoubleValue() > 0;
            }
            parser.skipChildren();
        }
        return hasDropout;
    }

    /** Its content, but with the dropout of pairs off. */
    String withoutDropout() {
        JsonNode whole = JsonMapper.shared().readTree(content);
        ((ObjectNode) whole.path("model")).putNull("dropout");
        return JsonMapper.shared().writeValueAsString(whole);
    }

    /**
     * Whether a text begins with a special token: as the post-processor has it if it places any, else as the config
     * says; empty if neither says anything.
     *
     * @param config content of {@code tokenizer_config.json}
     */
    Optional<Boolean> addsStart(JsonNode config) {
        Optional<Boolean> byTemplate = startsByTemplate();
        return byTemplate.isPresent() ? byTemplate : said(config);
    }

    /** What the two files say differently about the start of a text, as a sentence. */
    Optional<String> disagreement(JsonNode config) {
        Optional<Boolean> byTemplate = startsByTemplate();
        Optional<Boolean> said = said(config);
        boolean adds = byTemplate.orElse(false);
        if (said.isEmpty() || said.get() == adds) {
            return Optional.empty();
        }
        String template = byTemplate.isEmpty()
                ? "has no template for special tokens"
                : adds ? "puts a special token before a text" : "puts no special token before a text";
        return Optional.of(Tokenizer.FILE + " " + template + ", and " + Tokenizer.CONFIG + " says " + ADD_BOS + " = "
                + said.get() + "; " + (byTemplate.isEmpty() ? "the latter" : "the former")
                + " is followed, add_bos = true or false in [model] decides otherwise");
    }

    private static Optional<Boolean> said(JsonNode config) {
        JsonNode said = config.path(ADD_BOS);
        return said.isBoolean() ? Optional.of(said.asBoolean()) : Optional.empty();
    }

    /** Whether the post-processor puts a token before a text; empty if it places none at all. */
    private Optional<Boolean> startsByTemplate() {
        List<JsonNode> parts = new ArrayList<>(List.of(postProcessor));
        postProcessor.path("processors").forEach(parts::add);
        for (JsonNode part : parts) {
            switch (part.path("type").asString("")) {
                case "TemplateProcessing" -> {
                    return Optional.of(part.path("single").path(0).has("SpecialToken"));
                }
                case "BertProcessing", "RobertaProcessing" -> {
                    return Optional.of(true);
                }
                default -> {
                    // says nothing about special tokens
                }
            }
        }
        return Optional.empty();
    }
}
