package dev.ptq.data;

import dev.ptq.gguf.Gguf;
import dev.ptq.gguf.GgufTokenizer;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What makes a tokenizer: {@code tokenizer.json} and the config beside it, in a folder; or what a GGUF file has in their
 * place.
 *
 * @param file the first, or the GGUF file, for messages
 * @param json its content
 * @param configFile the second, or the GGUF file
 * @param config its content; empty if there is none
 */
record TokenizerFiles(Path file, String json, Path configFile, JsonNode config) {
    private static final String SENTENCE_PIECE = "tokenizer.model";

    /**
     * Reads them.
     *
     * @param place a folder, the path of a {@code tokenizer.json}, or a GGUF file
     */
    static TokenizerFiles read(Path place) throws IOException {
        if (isGguf(place)) {
            GgufTokenizer tokenizer = Gguf.open(place).tokenizer();
            JsonNode config = JsonMapper.shared().valueToTree(tokenizer.config());
            return new TokenizerFiles(place, tokenizer.json(), place, config);
        }
        require(place);
        Path file = file(place);
        try {
            return new TokenizerFiles(file, Files.readString(file), config(file), content(config(file)));
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": expected UTF-8", e);
        }
    }

    /**
     * Checks that a place has a tokenizer.
     *
     * @throws IOException if it has not, or not in this form
     */
    static void require(Path place) throws IOException {
        if (isGguf(place)) {
            Gguf.open(place).tokenizer();
            return;
        }
        Path file = file(place);
        if (!Files.exists(file)) {
            String there = Files.exists(file.resolveSibling(SENTENCE_PIECE))
                    ? "; " + SENTENCE_PIECE + " is of SentencePiece, convert it with the transformers library"
                    : "";
            throw new IOException(file + ": no such file; a model folder needs its tokenizer in this form" + there);
        }
    }

    /** A digest of all that determines the tokenizer's behaviour. */
    static String sha256(Path place) throws IOException {
        if (isGguf(place)) {
            return Digests.hexOfText(Gguf.open(place).tokenizer().description());
        }
        Path file = file(place);
        return Digests.of(
                List.of(file, config(file)).stream().filter(Files::exists).toList());
    }

    /** Returns whether a place is a GGUF file, whose tokenizer is made of keys that cannot disagree. */
    static boolean isGguf(Path place) {
        return Gguf.isNameOf(place) && !Files.isDirectory(place);
    }

    private static Path file(Path place) {
        return Files.isRegularFile(place) ? place : place.resolve(Tokenizer.FILE);
    }

    private static Path config(Path file) {
        return file.resolveSibling(Tokenizer.CONFIG);
    }

    /** Returns the content of {@code tokenizer_config.json}, empty if there is none. */
    private static JsonNode content(Path file) throws IOException {
        if (!Files.exists(file)) {
            return JsonMapper.shared().createObjectNode();
        }
        try {
            return JsonMapper.shared().readTree(Files.readString(file));
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }
}
