package dev.ptq.gguf;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How byte-level tokenizers cut a text into words before they merge bytes, by the names that files have for it.
 *
 * @param names in {@code tokenizer.ggml.pre}
 * @param cuts the pre-tokenizer of a {@code tokenizer.json}
 * @param isComposed whether the text is brought into Unicode's form C first
 * @param wholeWords whether a word that is a token is not taken apart
 * @param addsStart whether texts begin with the start token where the file does not say
 */
record PreTokenizer(
        List<String> names, Map<String, Object> cuts, boolean isComposed, boolean wholeWords, boolean addsStart) {
    private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String AFTER_ANY = "[^\\r\\n\\p{L}\\p{N}]?";
    private static final String SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String SIGNS = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";
    private static final String SIGNS_AND_SLASHES = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*";

    private static final List<PreTokenizer> ALL = List.of(
            new PreTokenizer(List.of("gpt-2"), byteLevel(true), false, false, false),
            new PreTokenizer(
                    List.of("smollm"),
                    sequence(Map.of("type", "Digits", "individual_digits", true), byteLevel(true)),
                    false,
                    false,
                    false),
            new PreTokenizer(
                    List.of("llama-bpe", "llama3", "llama-v3"),
                    split(CONTRACTIONS + "|" + AFTER_ANY + "\\p{L}+|\\p{N}{1,3}" + SIGNS + SPACES),
                    false,
                    true,
                    true),
            new PreTokenizer(
                    List.of("qwen2"),
                    split(CONTRACTIONS + "|" + AFTER_ANY + "\\p{L}+|\\p{N}" + SIGNS + SPACES),
                    true,
                    false,
                    false),
            new PreTokenizer(
                    List.of("tekken"),
                    split(AFTER_ANY + UPPER + "*" + LOWER + "+|" + AFTER_ANY + UPPER + "+" + LOWER + "*|\\p{N}"
                            + SIGNS_AND_SLASHES + SPACES),
                    false,
                    true,
                    true),
            new PreTokenizer(
                    List.of("gpt-4o"),
                    split(AFTER_ANY + UPPER + "*" + LOWER + "+" + CONTRACTIONS + "?|" + AFTER_ANY + UPPER + "+" + LOWER
                            + "*" + CONTRACTIONS + "?|\\p{N}{1,3}" + SIGNS_AND_SLASHES + SPACES),
                    false,
                    false,
                    false));

    static Optional<PreTokenizer> named(String name) {
        return ALL.stream().filter(each -> each.names.contains(name)).findFirst();
    }

    static List<String> allNames() {
        return ALL.stream().flatMap(each -> each.names.stream()).toList();
    }

    private static Map<String, Object> byteLevel(boolean cuts) {
        return Map.of("type", "ByteLevel", "add_prefix_space", false, "trim_offsets", true, "use_regex", cuts);
    }

    private static Map<String, Object> split(String words) {
        return sequence(
                Map.of("type", "Split", "pattern", Map.of("Regex", words), "behavior", "Isolated", "invert", false),
                byteLevel(false));
    }

    private static Map<String, Object> sequence(Map<String, Object> first, Map<String, Object> second) {
        return Map.of("type", "Sequence", "pretokenizers", List.of(first, second));
    }
}
