package dev.ptq.data;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.ptq.config.ConfigException;
import dev.ptq.tensor.TensorEngine;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;

/** The tokenizer of a model: {@code tokenizer.json} in its folder, or what a GGUF file has in its place. */
public final class Tokenizer implements AutoCloseable {
    /** The name of the file in a model folder. */
    public static final String FILE = "tokenizer.json";

    /** The name of the file beside it that lists the special tokens. */
    public static final String CONFIG = "tokenizer_config.json";

    private static final int NO_LIMIT = Integer.MAX_VALUE;

    /** What was found odd, by the contents of files that take long to read. */
    private static final Map<String, List<String>> NOTES = new ConcurrentHashMap<>();
    /** Characters of a text that a message shows. */
    private static final int SHOWN = 60;

    /** Whether whole texts begin with the start token. */
    public enum AddBos {
        /** As the files beside the model have it. */
        AUTO,
        /** Always. */
        TRUE,
        /** Never. */
        FALSE
    }

    /** A text has a token that the model does not have. */
    public static final class UnknownTokenException extends ConfigException {
        private static final long serialVersionUID = 1;

        private UnknownTokenException(String message) {
            super(message);
        }
    }

    private final HuggingFaceTokenizer tokenizer;
    private final Path file;
    private final int vocabulary;
    private final String startText;
    private final OptionalInt startId;
    private final OptionalInt endId;
    private final OptionalInt padId;

    /** Whether the template puts a special token before a whole text. */
    private final boolean startsByTemplate;
    /** Whether a whole text begins with it, or else with the start token. */
    private final boolean starts;

    private Tokenizer(
            HuggingFaceTokenizer tokenizer, TokenizerFiles files, TokenizerFile content, AddBos addBos, int vocabulary)
            throws IOException {
        this.tokenizer = tokenizer;
        this.file = files.file();
        this.vocabulary = vocabulary;
        JsonNode config = files.config();
        String end = token(config.path("eos_token"));
        String pad = token(config.path("pad_token"));
        this.startText = token(config.path("bos_token"));
        this.startId = id(tokenizer, startText);
        this.endId = id(tokenizer, end);
        this.padId = id(tokenizer, pad.isEmpty() || pad.equals("<unk>") ? end : pad);
        long[] plain = tokenizer.encode("a", false, false).getIds();
        long[] whole = tokenizer.encode("a", true, false).getIds();
        this.startsByTemplate = whole.length > plain.length && (plain.length == 0 || whole[0] != plain[0]);
        this.starts = switch (addBos) {
            case AUTO -> startsByTemplate || content.addsStart(config).orElse(false);
            case TRUE -> true;
            case FALSE -> false;
        };
        if (starts && !startsByTemplate && startId.isEmpty()) {
            throw new IOException(files.configFile() + ": bos_token: expected a token of " + file.getFileName()
                    + ", got '" + startText + "'; a text cannot begin with it (model.add_bos)");
        }
    }

    /** A digest, in hexadecimal, of all that determines a tokenizer's behaviour. */
    public static String sha256(Path place) throws IOException {
        return TokenizerFiles.sha256(place);
    }

    /**
     * Checks that a model folder or a GGUF file has a tokenizer.
     *
     * @throws IOException if it has not, or not in this form
     */
    public static void require(Path place) throws IOException {
        TokenizerFiles.require(place);
    }

    /** Opens the tokenizer of a model folder or a GGUF file, for a model with any number of tokens. */
    public static Tokenizer open(Path place) throws IOException {
        return open(place, AddBos.AUTO, NO_LIMIT);
    }

    /**
     * Opens a tokenizer.
     *
     * @param place a folder with {@code tokenizer.json}, the path of such a file, or a GGUF file
     * @param vocabulary number of tokens that the model has; a text with others is refused
     */
    public static Tokenizer open(Path place, AddBos addBos, int vocabulary) throws IOException {
        TokenizerFiles files = TokenizerFiles.read(place);
        Path file = files.file();
        TensorEngine.prepare();
        HuggingFaceTokenizer opened;
        // by default the library cuts every text to 512 tokens
        Map<String, String> options = Map.of("truncation", "false", "padding", "false");
        TokenizerFile content = TokenizerFile.read(file, files.json());
        String json = content.hasDropout() ? content.withoutDropout() : files.json();
        try {
            opened = HuggingFaceTokenizer.newInstance(
                    new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), options);
        } catch (IOException | RuntimeException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
        try {
            return new Tokenizer(opened, files, content, addBos, vocabulary);
        } catch (IOException | RuntimeException e) {
            opened.close();
            throw e;
        }
    }

    /** What is odd about the tokenizer at a place, a sentence each. */
    public static List<String> notes(Path place, AddBos addBos) throws IOException {
        if (TokenizerFiles.isGguf(place)) {
            return List.of();
        }
        String key = addBos + " " + TokenizerFiles.sha256(place);
        List<String> known = NOTES.get(key);
        if (known == null) {
            known = notes(TokenizerFiles.read(place), addBos);
            NOTES.put(key, known);
        }
        return known;
    }

    private static List<String> notes(TokenizerFiles files, AddBos addBos) throws IOException {
        TokenizerFile file = TokenizerFile.read(files.file(), files.json());
        List<String> notes = new ArrayList<>();
        if (file.hasDropout()) {
            notes.add(FILE + " has model.dropout, which cuts words at random in training; it is off here");
        }
        if (addBos == AddBos.AUTO) {
            file.disagreement(files.config()).ifPresent(notes::add);
        }
        return List.copyOf(notes);
    }

    /**
     * Returns the token ids of a whole text, with the special tokens that the tokenizer itself adds, and with or without
     * the start token as it was opened.
     */
    public int[] encode(String text) {
        int[] ids = ids(text, true);
        if (startsByTemplate == starts) {
            return ids;
        }
        return starts
                ? IntStream.concat(IntStream.of(startId.getAsInt()), Arrays.stream(ids))
                        .toArray()
                : Arrays.copyOfRange(ids, 1, ids.length);
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
            int[] ids = Arrays.stream(TokenizersLibrary.LIB.getTokenIds(encoding))
                    .mapToInt(Math::toIntExact)
                    .toArray();
            for (int id : ids) {
                if (id >= vocabulary) {
                    throw unknown(id, text);
                }
            }
            return ids;
        } finally {
            TokenizersLibrary.LIB.deleteEncoding(encoding);
        }
    }

    private UnknownTokenException unknown(int id, String text) {
        Piece piece = pieces(text, false).stream()
                .filter(there -> there.id() == id)
                .findFirst()
                .orElseGet(() -> new Piece(id, tokenizer.decode(new long[] {id}, false), 0, 0));
        int from = text.offsetByCodePoints(0, Math.max(0, piece.from() - SHOWN / 2));
        String around =
                text.substring(from, Math.min(text.length(), from + SHOWN)).replaceAll("\\s+", " ");
        return new UnknownTokenException(file + ": the token \"" + piece.text() + "\" has the id " + id
                + ", and the model has ids below its vocab_size, " + vocabulary + ", alone; it is in the text \""
                + around
                + "\"");
    }

    /**
     * Makes sure that the model has a token, such as {@link #startId}.
     *
     * @throws UnknownTokenException if not
     */
    public int known(int id) {
        if (id >= vocabulary) {
            throw new UnknownTokenException(
                    file + ": the token \"" + tokenizer.decode(new long[] {id}, false) + "\" has the id " + id
                            + ", and the model has ids below its vocab_size, " + vocabulary + ", alone");
        }
        return id;
    }

    /**
     * A token of a text.
     *
     * @param text as the vocabulary spells it
     * @param from its first character in the text, counted in Unicode characters
     * @param to the one after its last; that of special tokens is the first
     */
    public record Piece(int id, String text, int from, int to) {}

    /** Returns the tokens of a text with their places; special ones as {@link #encode} adds them. */
    public List<Piece> pieces(String text, boolean withSpecialTokens) {
        Encoding encoding = tokenizer.encode(text, withSpecialTokens, false);
        List<Piece> pieces = new ArrayList<>();
        boolean isDropped = withSpecialTokens && startsByTemplate && !starts;
        if (withSpecialTokens && starts && !startsByTemplate) {
            pieces.add(new Piece(startId.getAsInt(), startText, 0, 0));
        }
        for (int i = isDropped ? 1 : 0; i < encoding.getIds().length; i++) {
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
