package dev.ptq.gguf;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * The tokenizer in a file's metadata, as the files {@code tokenizer.json} and {@code tokenizer_config.json} that the
 * Hugging Face library reads.
 *
 * @param parts of the first, all but the model, whose merges take a while to find
 * @param model its settings, without vocabulary and merges
 * @param config the second
 */
public record GgufTokenizer(
        Map<String, @Nullable Object> parts,
        Map<String, @Nullable Object> model,
        Vocabulary vocabulary,
        Map<String, Object> config) {
    private static final String PREFIX = "tokenizer.ggml.";
    private static final String MODEL = PREFIX + "model";
    private static final String PRE = PREFIX + "pre";
    private static final String TOKENS = PREFIX + "tokens";
    private static final String SCORES = PREFIX + "scores";
    private static final String TYPES = PREFIX + "token_type";
    private static final String MERGES = PREFIX + "merges";
    private static final String OTHERWISE =
            "; name another tokenizer of this model, such as its tokenizer.json, by tokenizer in [model]";

    /** In place of a space. */
    private static final String SPACE = "\u2581";

    private static final int LONGEST_TOKEN = 512;

    private static final long UNKNOWN = 2;
    private static final long CONTROL = 3;
    private static final long OF_USER = 4;
    private static final long UNUSED = 5;
    private static final long BYTE = 6;

    /**
     * The tokens.
     *
     * @param ids of the tokens in use, by text
     * @param merges of byte-level tokenizers; null if scores decide
     * @param scores by text; empty where merges are listed
     */
    record Vocabulary(Map<String, Integer> ids, @Nullable List<List<String>> merges, Map<String, Double> scores) {}

    static GgufTokenizer read(GgufMetadata metadata) throws IOException {
        String model = metadata.optionalText(MODEL)
                .orElseThrow(() -> metadata.wrong(MODEL, "is missing; the file has no tokenizer" + OTHERWISE));
        return switch (model) {
            case "gpt2" -> byteLevel(metadata);
            case "llama" -> sentencePieces(metadata);
            default -> throw metadata.wrong(MODEL, "expected gpt2 or llama, got \"" + model + "\"" + OTHERWISE);
        };
    }

    /** The content of {@code tokenizer.json}. */
    public String json() {
        Map<String, @Nullable Object> whole = new LinkedHashMap<>(parts);
        Map<String, @Nullable Object> all = new LinkedHashMap<>(model);
        all.put("vocab", vocabulary.ids());
        all.put("merges", vocabulary.merges() == null ? PieceMerges.of(vocabulary.scores()) : vocabulary.merges());
        whole.put("model", all);
        return JsonMapper.shared().writeValueAsString(whole);
    }

    /** Everything that it is made of, which takes less time than what {@link #json} makes of it. */
    public String description() {
        return JsonMapper.shared().writeValueAsString(this);
    }

    private static GgufTokenizer byteLevel(GgufMetadata metadata) throws IOException {
        String name = metadata.optionalText(PRE)
                .orElseThrow(() -> metadata.wrong(PRE, "is missing, which says how texts are cut" + OTHERWISE));
        PreTokenizer pre = PreTokenizer.named(name)
                .orElseThrow(() -> metadata.wrong(
                        PRE, "expected one of " + PreTokenizer.allNames() + ", got \"" + name + "\"" + OTHERWISE));
        List<String> tokens = metadata.list(TOKENS, String.class);
        List<Long> types = types(metadata, tokens.size());
        Map<String, Integer> ids = ids(metadata, tokens, types);
        List<List<String>> merges = new ArrayList<>();
        for (String merge : metadata.list(MERGES, String.class)) {
            int space = merge.indexOf(' ', 1);
            String left = space < 0 ? "" : merge.substring(0, space);
            String right = space < 0 ? "" : merge.substring(space + 1);
            if (!ids.containsKey(left) || !ids.containsKey(right) || !ids.containsKey(left + right)) {
                throw metadata.wrong(
                        MERGES, "\"" + shortened(merge) + "\": expected two tokens that are a token together");
            }
            merges.add(List.of(left, right));
        }
        Map<String, @Nullable Object> parts = parts(metadata, tokens, types, pre.addsStart());
        parts.put("normalizer", pre.isComposed() ? Map.of("type", "NFC") : null);
        parts.put("pre_tokenizer", pre.cuts());
        parts.put(
                "decoder",
                Map.of("type", "ByteLevel", "add_prefix_space", true, "trim_offsets", true, "use_regex", true));
        Map<String, @Nullable Object> model = new LinkedHashMap<>();
        model.put("type", "BPE");
        model.put("unk_token", null);
        model.put("fuse_unk", false);
        model.put("byte_fallback", false);
        model.put("ignore_merges", pre.wholeWords());
        return new GgufTokenizer(
                parts, model, new Vocabulary(ids, merges, Map.of()), config(metadata, tokens, pre.addsStart()));
    }

    private static GgufTokenizer sentencePieces(GgufMetadata metadata) throws IOException {
        Optional<String> pre = metadata.optionalText(PRE);
        if (pre.isPresent() && !pre.get().equals("default")) {
            throw metadata.wrong(PRE, "expected default beside model llama, got \"" + pre.get() + "\"" + OTHERWISE);
        }
        String squeezed = PREFIX + "remove_extra_whitespaces";
        if (metadata.optionalFlag(squeezed).orElse(false)) {
            throw metadata.wrong(squeezed, "expected false, got true" + OTHERWISE);
        }
        List<String> tokens = metadata.list(TOKENS, String.class);
        List<Long> types = types(metadata, tokens.size());
        Map<String, Integer> ids = ids(metadata, tokens, types);
        List<Double> scores = metadata.list(SCORES, Double.class);
        if (scores.size() != tokens.size()) {
            throw metadata.wrong(
                    SCORES, "expected " + tokens.size() + " values, one for each token, got " + scores.size());
        }
        Map<String, Double> scored = new LinkedHashMap<>();
        for (Map.Entry<String, Integer> entry : ids.entrySet()) {
            double score = scores.get(entry.getValue());
            if (!Double.isFinite(score)) {
                throw metadata.wrong(SCORES, "expected numbers, got " + score + " at " + entry.getValue());
            }
            if (entry.getKey().length() > LONGEST_TOKEN) {
                throw metadata.wrong(
                        TOKENS,
                        "expected tokens of at most " + LONGEST_TOKEN + " characters, got \""
                                + shortened(entry.getKey()) + "\"");
            }
            scored.put(entry.getKey(), score);
        }
        boolean hasPrefix = metadata.optionalFlag(PREFIX + "add_space_prefix").orElse(true);
        Map<String, Object> spaces = Map.of("type", "Replace", "pattern", Map.of("String", " "), "content", SPACE);
        Map<String, Object> front = Map.of("type", "Prepend", "prepend", SPACE);
        List<Map<String, Object>> decoders = new ArrayList<>(List.of(
                Map.of("type", "Replace", "pattern", Map.of("String", SPACE), "content", " "),
                Map.of("type", "ByteFallback"),
                Map.of("type", "Fuse")));
        if (hasPrefix) {
            decoders.add(Map.of("type", "Strip", "content", " ", "start", 1, "stop", 0));
        }
        Map<String, @Nullable Object> parts = parts(metadata, tokens, types, true);
        parts.put("normalizer", hasPrefix ? Map.of("type", "Sequence", "normalizers", List.of(front, spaces)) : spaces);
        parts.put("pre_tokenizer", null);
        parts.put("decoder", Map.of("type", "Sequence", "decoders", decoders));
        Map<String, @Nullable Object> model = new LinkedHashMap<>();
        model.put("type", "BPE");
        model.put(
                "unk_token",
                token(metadata, "unknown", tokens)
                        .orElse(types.contains(UNKNOWN) ? tokens.get(types.indexOf(UNKNOWN)) : null));
        model.put("fuse_unk", true);
        model.put("byte_fallback", types.contains(BYTE));
        model.put("ignore_merges", false);
        return new GgufTokenizer(parts, model, new Vocabulary(ids, null, scored), config(metadata, tokens, true));
    }

    private static List<Long> types(GgufMetadata metadata, int count) throws IOException {
        List<Long> types = metadata.list(TYPES, Long.class);
        if (types.size() != count) {
            throw metadata.wrong(TYPES, "expected " + count + " values, one for each token, got " + types.size());
        }
        for (long type : types) {
            if (type < 1 || type > BYTE) {
                throw metadata.wrong(TYPES, "expected numbers from 1 to " + BYTE + ", got " + type);
            }
        }
        return types;
    }

    private static Map<String, Integer> ids(GgufMetadata metadata, List<String> tokens, List<Long> types)
            throws IOException {
        Map<String, Integer> ids = new LinkedHashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            if (types.get(id) == UNUSED) {
                continue;
            }
            Integer other = ids.put(tokens.get(id), id);
            if (other != null) {
                throw metadata.wrong(
                        TOKENS, "\"" + shortened(tokens.get(id)) + "\" is there twice, as " + other + " and " + id);
            }
        }
        return ids;
    }

    /** Special tokens, which are found in a text first, and their places around it. */
    private static Map<String, @Nullable Object> parts(
            GgufMetadata metadata, List<String> tokens, List<Long> types, boolean addsStart) throws IOException {
        List<Map<String, Object>> added = new ArrayList<>();
        for (int id = 0; id < tokens.size(); id++) {
            long type = types.get(id);
            if (type == UNKNOWN || type == CONTROL || type == OF_USER) {
                added.add(Map.of(
                        "id", id,
                        "content", tokens.get(id),
                        "single_word", false,
                        "lstrip", false,
                        "rstrip", false,
                        "normalized", false,
                        "special", type != OF_USER));
            }
        }
        Map<String, @Nullable Object> parts = new LinkedHashMap<>();
        parts.put("version", "1.0");
        parts.put("truncation", null);
        parts.put("padding", null);
        parts.put("added_tokens", added);
        Map<String, Object> special = new LinkedHashMap<>();
        List<Map<String, Object>> single = new ArrayList<>();
        List<Map<String, Object>> second = new ArrayList<>();
        place(metadata, "bos", addsStart, tokens, special, List.of(single, second));
        single.add(Map.of("Sequence", Map.of("id", "A", "type_id", 0)));
        second.add(Map.of("Sequence", Map.of("id", "B", "type_id", 1)));
        place(metadata, "eos", false, tokens, special, List.of(single, second));
        List<Map<String, Object>> pair = new ArrayList<>(single);
        pair.addAll(second);
        parts.put(
                "post_processor",
                Map.of("type", "TemplateProcessing", "single", single, "pair", pair, "special_tokens", special));
        return parts;
    }

    /** Puts a token there if the file says that texts have it there. */
    private static void place(
            GgufMetadata metadata,
            String which,
            boolean preset,
            List<String> tokens,
            Map<String, Object> special,
            List<List<Map<String, Object>>> places)
            throws IOException {
        String key = PREFIX + "add_" + which + "_token";
        if (!metadata.optionalFlag(key).orElse(preset)) {
            return;
        }
        Optional<String> token = token(metadata, which, tokens);
        if (token.isEmpty()) {
            throw metadata.wrong(PREFIX + which + "_token_id", "is missing, and texts have it by " + key + OTHERWISE);
        }
        int id = metadata.optionalWhole(PREFIX + which + "_token_id").stream()
                .mapToInt(Math::toIntExact)
                .findFirst()
                .orElseThrow();
        special.put(token.get(), Map.of("id", token.get(), "ids", List.of(id), "tokens", List.of(token.get())));
        for (int i = 0; i < places.size(); i++) {
            places.get(i).add(Map.of("SpecialToken", Map.of("id", token.get(), "type_id", i)));
        }
    }

    private static Map<String, Object> config(GgufMetadata metadata, List<String> tokens, boolean addsStart)
            throws IOException {
        Map<String, Object> config = new LinkedHashMap<>();
        for (Map.Entry<String, String> each : Map.of("bos", "bos", "eos", "eos", "pad", "padding", "unk", "unknown")
                .entrySet()) {
            token(metadata, each.getValue(), tokens).ifPresent(text -> config.put(each.getKey() + "_token", text));
        }
        config.put(
                "add_bos_token", metadata.optionalFlag(PREFIX + "add_bos_token").orElse(addsStart));
        return Collections.unmodifiableMap(config);
    }

    /** The text of the token whose id a key has. */
    private static Optional<String> token(GgufMetadata metadata, String which, List<String> tokens) throws IOException {
        String key = PREFIX + which + "_token_id";
        if (!metadata.has(key)) {
            return Optional.empty();
        }
        long id = metadata.optionalWhole(key).orElseThrow();
        if (id < 0 || id >= tokens.size()) {
            throw metadata.wrong(
                    key, "expected the id of a token, of which there are " + tokens.size() + ", got " + id);
        }
        return Optional.of(tokens.get((int) id));
    }

    private static String shortened(String text) {
        return text.length() > 40 ? text.substring(0, 40) + "…" : text;
    }
}
