package dev.ptq.data;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.ptq.tensor.TensorEngine;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The tokenizer of a model folder, {@code tokenizer.json}. */
public final class Tokenizer implements AutoCloseable {
    /** The name of the file in a model folder. */
    public static final String FILE = "tokenizer.json";

    /** The name of the file beside it that lists the special tokens. */
    public static final String CONFIG = "tokenizer_config.json";

    private static final Pattern DROPOUT = Pattern.compile("\"dropout\"\\s*:\\s*[0-9]");

    private final HuggingFaceTokenizer tokenizer;
    private final String startText;
    private final OptionalInt startId;
    private final OptionalInt endId;
    private final OptionalInt padId;

    private Tokenizer(HuggingFaceTokenizer tokenizer, String startText, OptionalInt endId, OptionalInt padId) {
        this.tokenizer = tokenizer;
        this.startText = startText;
        this.startId = id(tokenizer, startText);
        this.endId = endId;
        this.padId = padId;
    }

    /** Returns the files that determine a tokenizer's behaviour, as far as they exist. */
    public static List<Path> files(Path folder) {
        return List.of(folder.resolve(FILE), folder.resolve(CONFIG)).stream()
                .filter(Files::exists)
                .toList();
    }

    /**
     * Checks that a model folder has a tokenizer.
     *
     * @throws IOException if it has not, or not in this form
     */
    public static void require(Path folder) throws IOException {
        Path file = folder.resolve(FILE);
        if (!Files.exists(file)) {
            throw new IOException(file + ": no such file; a model folder needs its tokenizer in this form");
        }
    }

    /** Opens the tokenizer of a model folder. */
    public static Tokenizer open(Path folder) throws IOException {
        require(folder);
        Path file = folder.resolve(FILE);
        TensorEngine.prepare();
        HuggingFaceTokenizer opened;
        // by default the library cuts every text to 512 tokens
        Map<String, String> options = Map.of("truncation", "false", "padding", "false");
        try {
            Optional<String> steady = withoutDropout(file);
            opened = steady.isPresent()
                    ? HuggingFaceTokenizer.newInstance(
                            new ByteArrayInputStream(steady.get().getBytes(StandardCharsets.UTF_8)), options)
                    : HuggingFaceTokenizer.newInstance(file, options);
        } catch (IOException | RuntimeException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
        JsonNode config = config(folder);
        String end = token(config.path("eos_token"));
        String pad = token(config.path("pad_token"));
        String start = token(config.path("bos_token"));
        return new Tokenizer(
                opened, start, id(opened, end), id(opened, pad.isEmpty() || pad.equals("<unk>") ? end : pad));
    }

    /** What is odd about the tokenizer of a model folder, a sentence each. */
    public static List<String> notes(Path folder) throws IOException {
        return withoutDropout(folder.resolve(FILE)).isPresent()
                ? List.of(FILE + " has model.dropout, which cuts words at random in training; it is off here")
                : List.of();
    }

    /** The content of a tokenizer file without the dropout of its pairs; empty if it has none. */
    private static Optional<String> withoutDropout(Path file) throws IOException {
        String text = Files.readString(file);
        // a token may have that name as well
        if (!DROPOUT.matcher(text).find()) {
            return Optional.empty();
        }
        try {
            JsonNode content = JsonMapper.shared().readTree(text);
            if (content.path("model") instanceof ObjectNode model
                    && model.path("dropout").asDouble(0) > 0) {
                model.putNull("dropout");
                return Optional.of(JsonMapper.shared().writeValueAsString(content));
            }
            return Optional.empty();
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    /**
     * Returns the token ids of a whole text, with the special tokens that the tokenizer itself adds, such as a BOS at
     * its start.
     */
    public int[] encode(String text) {
        return ids(text, true);
    }

    /** Returns token ids without special tokens. */
    public int[] encodePlain(String text) {
        return ids(text, false);
    }

    /**
     * Avoids the library's own way to the ids, which makes eight other arrays of every token and takes several times as
     * long.
     */
    private int[] ids(String text, boolean withSpecialTokens) {
        long encoding = TokenizersLibrary.LIB.encode(tokenizer.getHandle(), text, withSpecialTokens);
        try {
            return Arrays.stream(TokenizersLibrary.LIB.getTokenIds(encoding))
                    .mapToInt(Math::toIntExact)
                    .toArray();
        } finally {
            TokenizersLibrary.LIB.deleteEncoding(encoding);
        }
    }

    /**
     * A token of a text.
     *
     * @param text as the vocabulary spells it
     * @param from its first character in the text, counted in Unicode characters
     * @param to the one after its last; that of special tokens is the first
     */
    public record Piece(int id, String text, int from, int to) {}

    /** Returns the tokens of a text with their places. */
    public List<Piece> pieces(String text, boolean withSpecialTokens) {
        Encoding encoding = tokenizer.encode(text, withSpecialTokens, false);
        List<Piece> pieces = new ArrayList<>();
        for (int i = 0; i < encoding.getIds().length; i++) {
            CharSpan span = encoding.getCharTokenSpans()[i];
            pieces.add(new Piece(
                    Math.toIntExact(encoding.getIds()[i]),
                    encoding.getTokens()[i],
                    span == null ? 0 : span.getStart(),
                    span == null ? 0 : span.getEnd()));
        }
        return pieces;
    }

    /** Returns the text of token ids; special tokens have none. */
    public String decode(int[] ids) {
        return tokenizer.decode(Arrays.stream(ids).asLongStream().toArray(), true);
    }

    /** Returns the start token that {@code tokenizer_config.json} names, whether or not {@link #encode} adds it. */
    public OptionalInt startId() {
        return startId;
    }

    /** Returns the start token's text; empty if there is none. */
    public String startText() {
        return startText;
    }

    /** Returns the end-of-text token that {@code tokenizer_config.json} names. */
    public OptionalInt endId() {
        return endId;
    }

    /**
     * Returns the padding token as LQER sets it: the tokenizer's own, or the end-of-text token if there is none or it
     * is {@code <unk>}.
     */
    public OptionalInt padId() {
        return padId;
    }

    /** Returns the content of {@code tokenizer_config.json}, empty if there is none. */
    private static JsonNode config(Path folder) throws IOException {
        Path file = folder.resolve(CONFIG);
        if (!Files.exists(file)) {
            return JsonMapper.shared().createObjectNode();
        }
        try {
            return JsonMapper.shared().readTree(Files.readString(file));
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    /** Returns the id of a special token, if it is one token. */
    private static OptionalInt id(HuggingFaceTokenizer tokenizer, String token) {
        if (token.isEmpty()) {
            return OptionalInt.empty();
        }
        long[] ids = tokenizer.encode(token, false, false).getIds();
        return ids.length == 1 ? OptionalInt.of(Math.toIntExact(ids[0])) : OptionalInt.empty();
    }

    /** Reads a special token, written as a text or as a table with its content. */
    private static String token(JsonNode node) {
        return node.isString() ? node.asString() : node.path("content").asString("");
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
