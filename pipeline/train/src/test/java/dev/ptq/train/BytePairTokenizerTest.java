package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.ptq.data.Tokenizer;
import dev.ptq.train.BytePairTokenizer.Merge;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BytePairTokenizerTest {
    private static final String PROSE = """
            The cat's tail, the dogs' tails: "don't touch!" she said in 1998 (or 1999?), and they didn't.
            Über die Brücke läuft – so heißt es – ein kleiner Hund; er läuft & läuft, 3.5 km weit.

            \tThe end of the tale  is that the others then went   there, too...
            """;

    private static final List<String> HARD = List.of(
            "",
            " ",
            "   ",
            "a",
            " a",
            "  two spaces  inside  and after  ",
            "\n",
            "\n\n\nlines\n \n\tand\ttabs\t\t\r\n",
            "ends in a line\n",
            "γεια σου, κόσμε",
            "naïve café, e\u0301 in two parts",
            "🙂🙃 👩‍👩‍👧 ❤️",
            "日本語のテキスト、と记号。",
            "no\u00a0break\u2003space\u2028line",
            "1234567890 3.14159 ½ ٣ Ⅻ 10,000",
            "it's 'quoted' isn’t ''two'' 'tis rock'n'roll '",
            "<0x41> <unk > [UNK] ## @-@ ``x'' !!! ... ---",
            "The cat's tale, then: there");

    @TempDir
    private Path folder;

    @Test
    void decodesWhatItEncodes() throws IOException {
        try (Tokenizer tokenizer = written(BytePairTokenizer.train(texts(), 600))) {
            for (String text : HARD) {
                assertThat(tokenizer.decode(tokenizer.encodePlain(text)))
                        .as(text)
                        .isEqualTo(text);
            }
            assertThat(tokenizer.decode(tokenizer.encodePlain(PROSE))).isEqualTo(PROSE);
        }
    }

    @Test
    void startsEveryTextWithItsStartToken() throws IOException {
        BytePairTokenizer learned = BytePairTokenizer.train(texts(), 400);
        try (Tokenizer tokenizer = written(learned)) {
            assertThat(tokenizer.encode("")).containsExactly(BytePairTokenizer.START);
            assertThat(tokenizer.encode("the cat")).startsWith(BytePairTokenizer.START);
            assertThat(tokenizer.encodePlain("<s>x</s>"))
                    .startsWith(BytePairTokenizer.START)
                    .endsWith(BytePairTokenizer.END);
            // the end token stands in for the padding token that there is none of
            assertThat(tokenizer.padId()).hasValue(BytePairTokenizer.END);
        }
    }

    @Test
    void theLibraryGivesTheIdsOfAnObviousEncoder() throws IOException {
        BytePairTokenizer learned = BytePairTokenizer.train(texts(), 700);
        try (Tokenizer tokenizer = written(learned)) {
            for (String text : HARD) {
                assertThat(tokenizer.encodePlain(text)).as(text).containsExactly(encode(learned, text));
            }
            SplittableRandom random = new SplittableRandom(5);
            for (int i = 0; i < 500; i++) {
                String text = mixture(random);
                assertThat(tokenizer.encodePlain(text))
                        .as("text %s: %s", i, text)
                        .containsExactly(encode(learned, text));
            }
        }
    }

    /** Of few letters, so that pairs overlap themselves, and rare characters between them. */
    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 6})
    void learnsTheMergesOfAnObviousTrainer(int letters) {
        for (int seed = 0; seed < 12; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 400; i++) {
                random.ints(1 + random.nextInt(9), 'a', 'a' + letters).forEach(text::appendCodePoint);
                text.append(random.nextInt(8) == 0 ? "é " : " ");
            }
            assertSameMerges(List.of(text.toString()), 259 + letters + 1 + 60);
        }
    }

    @Test
    void learnsTheMergesOfAnObviousTrainerFromProse() {
        assertSameMerges(Collections.nCopies(30, PROSE), 400);
    }

    @Test
    void numbersTokensAsLlamaDoes() throws IOException {
        BytePairTokenizer learned = BytePairTokenizer.train(texts(), 500);
        List<String> tokens = learned.tokens();
        assertThat(tokens).hasSize(500).doesNotHaveDuplicates();
        assertThat(tokens).startsWith("<unk>", "<s>", "</s>", "<0x00>", "<0x01>");
        assertThat(tokens.get(3 + 0x0a)).isEqualTo("<0x0A>");
        assertThat(tokens.get(258)).isEqualTo("<0xFF>");
        int firstMerged = 500
                - (int) learned.merges().stream().map(Merge::merged).distinct().count();
        List<String> characters = tokens.subList(259, firstMerged);
        assertThat(characters).isSorted().contains("▁", "\n", "e", "ü").doesNotContain("γ");
        assertThat(tokens.subList(firstMerged, 500))
                .containsExactlyElementsOf(
                        learned.merges().stream().map(Merge::merged).toList());
        try (Tokenizer tokenizer = written(learned)) {
            for (int id = 259; id < 500; id++) {
                String text = tokens.get(id).replace('▁', ' ');
                // the decoder takes one space from the start of a text
                assertThat(tokenizer.decode(new int[] {id})).isEqualTo(text.startsWith(" ") ? text.substring(1) : text);
            }
        }
    }

    @Test
    void noTokenCrossesWords() {
        for (String token : BytePairTokenizer.train(texts(), 690).tokens().subList(259, 690)) {
            assertThat(token).matches("▁?['’]?[\\p{L}\\p{M}]+|▁?\\p{N}|▁?[^\\p{L}\\p{M}\\p{N}▁\\n]+|\\n+|▁+");
        }
    }

    @Test
    void rareCharactersAreSpelledInBytes() {
        String text = "a".repeat(19) + " " + "b".repeat(20) + " the the ";
        assertThat(BytePairTokenizer.train(List.of(text.repeat(1)), 261).tokens())
                .contains("b", "▁")
                .doesNotContain("a");
        // twenty of 400 thousand are less than one in ten thousand
        String long400 = "ab".repeat(49).concat(" ").repeat(4100) + "x".repeat(20);
        assertThat(BytePairTokenizer.train(List.of(long400), 263).tokens()).doesNotContain("x");
    }

    @Test
    void halfACharacterGetsNoToken() throws IOException {
        List<String> texts = List.of(PROSE.repeat(30) + "\ud83d ".repeat(100));
        try (Tokenizer tokenizer = written(BytePairTokenizer.train(texts, 400))) {
            assertThat(tokenizer.decode(tokenizer.encodePlain(PROSE))).isEqualTo(PROSE);
        }
    }

    @Test
    void givesTheSameBytesFromTheSameWordsInAnyOrder() throws IOException {
        List<String> texts = texts();
        BytePairTokenizer.train(texts, 500).write(folder.resolve("first"));
        List<String> shuffled = new ArrayList<>(texts);
        Collections.shuffle(shuffled, new Random(1));
        BytePairTokenizer.train(shuffled, 500).write(folder.resolve("second"));
        for (String name : List.of(Tokenizer.FILE, Tokenizer.CONFIG)) {
            assertThat(folder.resolve("second").resolve(name))
                    .hasSameBinaryContentAs(folder.resolve("first").resolve(name));
            assertThat(Files.readString(folder.resolve("first").resolve(name))).doesNotContain("\r");
        }
    }

    @Test
    void refusesAVocabularyThatDoesNotHoldTheCharacters() {
        List<String> texts = List.of("ab ".repeat(20));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BytePairTokenizer.train(texts, 261))
                .withMessage("a vocabulary of 261 tokens is too small: 259 are special tokens and bytes,"
                        + " and 3 are characters");
        assertThat(BytePairTokenizer.train(texts, 262).merges()).isEmpty();
    }

    @Test
    void refusesTextsThatGiveTooFewTokens() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BytePairTokenizer.train(List.of("ab ".repeat(20)), 300))
                .withMessage("too little text for a vocabulary of 300 tokens: it gives 264;"
                        + " give more text, or ask for fewer tokens");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BytePairTokenizer.train(List.of(), 300))
                .withMessageContaining("it gives 260");
    }

    private Tokenizer written(BytePairTokenizer tokenizer) throws IOException {
        tokenizer.write(folder);
        return Tokenizer.open(folder);
    }

    /** Prose, and made-up words of which a few are frequent and most are rare. */
    private static List<String> texts() {
        SplittableRandom random = new SplittableRandom(3);
        List<String> syllables = List.of("ba", "ke", "li", "no", "ru", "ta", "the", "en", "sch", "ing", "'s", "é", "7");
        List<String> words = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            StringBuilder word = new StringBuilder();
            for (int j = random.nextInt(4); j >= 0; j--) {
                word.append(syllables.get(random.nextInt(syllables.size())));
            }
            words.add(word.toString());
        }
        List<String> texts = new ArrayList<>(Collections.nCopies(25, PROSE));
        for (int i = 0; i < 25; i++) {
            StringBuilder text = new StringBuilder();
            for (int j = 0; j < 200; j++) {
                double rank = Math.pow(words.size(), random.nextDouble()) - 1;
                text.append(words.get((int) rank)).append(random.nextInt(12) == 0 ? ".\n" : " ");
            }
            texts.add(text.toString());
        }
        return texts;
    }

    /** Characters of every kind in any order. */
    private static String mixture(SplittableRandom random) {
        List<String> pieces = List.of(
                "the", "cat", "ing", "T", "e", "é", "\u0301", "ж", "日", "🙂", "\ufe0f", "1", "42", "½", "Ⅻ", "'", "’",
                "\"", ".", "...", ",", "-", "$", "©", " ", " ", " ", "  ", "\t", "\r", "\n", "\n\n", "\u00a0", "\u2028",
                "▁", "_");
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(30); i >= 0; i--) {
            text.append(pieces.get(random.nextInt(pieces.size())));
        }
        return text.toString();
    }

    private static void assertSameMerges(List<String> texts, int vocabularySize) {
        BytePairTokenizer learned = BytePairTokenizer.train(texts, vocabularySize);
        List<String> characters = learned.tokens().stream()
                .skip(259)
                .filter(token -> token.codePointCount(0, token.length()) == 1)
                .toList();
        assertThat(learned.merges()).containsExactlyElementsOf(merges(texts, characters, vocabularySize));
    }

    /** Cuts every word anew before each step, and counts every pair anew. */
    private static List<Merge> merges(List<String> texts, List<String> characters, int vocabularySize) {
        Map<String, Integer> words = new TreeMap<>();
        texts.forEach(text -> WordSplit.forEachWord(text, word -> words.merge(word, 1, Integer::sum)));
        List<String> order = new ArrayList<>(characters);
        List<Merge> merges = new ArrayList<>();
        while (259 + order.size() < vocabularySize) {
            Map<Merge, Integer> counts = new HashMap<>();
            words.forEach((word, count) -> {
                List<String> cut = cut(word, merges);
                for (int i = 1; i < cut.size(); i++) {
                    if (order.contains(cut.get(i - 1)) && order.contains(cut.get(i))) {
                        counts.merge(new Merge(cut.get(i - 1), cut.get(i)), count, Integer::sum);
                    }
                }
            });
            Merge best = Collections.max(counts.keySet(), (a, b) -> {
                int byCount = Integer.compare(counts.getOrDefault(a, 0), counts.getOrDefault(b, 0));
                int byLeft = Integer.compare(order.indexOf(b.left()), order.indexOf(a.left()));
                int byRight = Integer.compare(order.indexOf(b.right()), order.indexOf(a.right()));
                return byCount != 0 ? byCount : byLeft != 0 ? byLeft : byRight;
            });
            merges.add(best);
            order.add(best.merged());
        }
        return merges;
    }

    /** Joins, as long as there is one, the pair of the earliest merge, the leftmost first. */
    private static List<String> cut(String word, List<Merge> merges) {
        List<String> cut =
                new ArrayList<>(word.codePoints().mapToObj(Character::toString).toList());
        while (true) {
            int best = -1;
            int rank = Integer.MAX_VALUE;
            for (int i = 1; i < cut.size(); i++) {
                int here = merges.indexOf(new Merge(cut.get(i - 1), cut.get(i)));
                if (here >= 0 && here < rank) {
                    rank = here;
                    best = i;
                }
            }
            if (best < 0) {
                return cut;
            }
            cut.set(best - 1, cut.get(best - 1) + cut.remove(best));
        }
    }

    private static int[] encode(BytePairTokenizer tokenizer, String text) {
        Map<String, Integer> ids = new HashMap<>();
        tokenizer.tokens().forEach(token -> ids.put(token, ids.size()));
        Set<String> known = ids.keySet();
        List<Integer> encoded = new ArrayList<>();
        WordSplit.forEachWord(text, word -> {
            for (String piece : cut(word, tokenizer.merges())) {
                if (known.contains(piece)) {
                    encoded.add(ids.get(piece));
                } else {
                    for (byte value : piece.getBytes(StandardCharsets.UTF_8)) {
                        encoded.add(3 + (value & 0xff));
                    }
                }
            }
        });
        return encoded.stream().mapToInt(Integer::intValue).toArray();
    }
}
