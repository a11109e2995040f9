package dev.ptq.train;

import dev.ptq.data.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.PrettyPrinter;
import tools.jackson.core.util.DefaultIndenter;
import tools.jackson.core.util.DefaultPrettyPrinter;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A byte pair encoding in the manner of llama: spaces are visible, and a character without its own token is spelled in
 * bytes.
 *
 * <p>Source: Sennrich, Haddow and Birch, 2016, "Neural Machine Translation of Rare Words with Subword Units".
 *
 * @param tokens by id: {@code <unk>}, {@code <s>}, {@code </s>}, 256 bytes, characters in the order of their code
 *     points, and the results of merges in the order they were learned
 * @param merges in the order an encoder prefers them
 */
public record BytePairTokenizer(List<String> tokens, List<Merge> merges) {
    /** The id of {@code <s>}, which starts every text. */
    public static final int START = 1;

    /** The id of {@code </s>}. */
    public static final int END = 2;

    private static final List<String> SPECIAL = List.of("<unk>", "<s>", "</s>");

    /** All of {@code tokenizer.json} except the regular expression and the model's vocabulary and merges. */
    private static final String TOKENIZER = """
            {
              "version": "1.0",
              "truncation": null,
              "padding": null,
              "added_tokens": [],
              "normalizer": {
                "type": "Sequence",
                "normalizers": [
                  {"type": "Prepend", "prepend": "▁"},
                  {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
                ]
              },
              "pre_tokenizer": {"type": "Split", "pattern": {}, "behavior": "Isolated", "invert": false},
              "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                  {"SpecialToken": {"id": "<s>", "type_id": 0}},
                  {"Sequence": {"id": "A", "type_id": 0}}
                ],
                "pair": [
                  {"SpecialToken": {"id": "<s>", "type_id": 0}},
                  {"Sequence": {"id": "A", "type_id": 0}},
                  {"SpecialToken": {"id": "<s>", "type_id": 1}},
                  {"Sequence": {"id": "B", "type_id": 1}}
                ],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
              },
              "decoder": {
                "type": "Sequence",
                "decoders": [
                  {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                  {"type": "ByteFallback"},
                  {"type": "Fuse"},
                  {"type": "Strip", "content": " ", "start": 1, "stop": 0}
                ]
              },
              "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": "<unk>",
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": true,
                "byte_fallback": true
              }
            }
            """;

    /** The class that takes {@code tokenizer.json} as it is; that of llama may replace the word split. */
    private static final String CONFIG = """
            {
              "tokenizer_class": "PreTrainedTokenizerFast",
              "bos_token": "<s>",
              "eos_token": "</s>",
              "unk_token": "<unk>",
              "add_bos_token": true,
              "add_eos_token": false,
              "clean_up_tokenization_spaces": false
            }
            """;

    /** Two adjacent tokens that become one. */
    public record Merge(String left, String right) {
        /** The resulting token. */
        public String merged() {
            return left + right;
        }
    }

    public BytePairTokenizer {
        tokens = List.copyOf(tokens);
        merges = List.copyOf(merges);
    }

    /**
     * Learns a vocabulary. It depends only on the word counts of the texts, not even on their order.
     *
     * @param vocabularySize number of tokens, including the special ones and the bytes
     * @throws IllegalArgumentException if the characters alone need more tokens, or the texts do not give as many
     */
    public static BytePairTokenizer train(List<String> texts, int vocabularySize) {
        return BytePairTrainer.train(texts, vocabularySize);
    }

    /** The special tokens and the bytes, which start every vocabulary. */
    static List<String> reserved() {
        List<String> tokens = new ArrayList<>(SPECIAL);
        for (int value = 0; value < 256; value++) {
            tokens.add(byteToken(value));
        }
        return tokens;
    }

    /** The token of one byte, 0 to 255. */
    static String byteToken(int value) {
        return "<0x" + HexFormat.of().withUpperCase().toHexDigits((byte) value) + ">";
    }

    /** Writes {@code tokenizer.json} and {@code tokenizer_config.json} as the Hugging Face libraries read them. */
    public void write(Path folder) throws IOException {
        Files.createDirectories(folder);
        Files.writeString(folder.resolve(Tokenizer.FILE), json());
        Files.writeString(folder.resolve(Tokenizer.CONFIG), CONFIG);
    }

    private String json() {
        ObjectNode root = (ObjectNode) JsonMapper.shared().readTree(TOKENIZER);
        for (int id = 0; id < SPECIAL.size(); id++) {
            root.withArray("/added_tokens").add(addedToken(id));
        }
        root.withObject("/pre_tokenizer/pattern").put("Regex", WordSplit.REGEX);
        ObjectNode vocabulary = root.withObject("/model/vocab");
        for (int id = 0; id < tokens.size(); id++) {
            vocabulary.put(tokens.get(id), id);
        }
        // every version of the library reads this form; no token has a space
        merges.forEach(merge -> root.withArray("/model/merges").add(merge.left() + " " + merge.right()));
        DefaultIndenter lines = new DefaultIndenter("  ", "\n");
        PrettyPrinter printer =
                new DefaultPrettyPrinter().withObjectIndenter(lines).withArrayIndenter(lines);
        return JsonMapper.shared().writer().with(printer).writeValueAsString(root) + "\n";
    }

    private static JsonNode addedToken(int id) {
        Map<String, Object> token = new LinkedHashMap<>();
        token.put("id", id);
        token.put("content", SPECIAL.get(id));
        for (String no : List.of("single_word", "lstrip", "rstrip", "normalized")) {
            token.put(no, false);
        }
        token.put("special", true);
        return JsonMapper.shared().valueToTree(token);
    }
}
