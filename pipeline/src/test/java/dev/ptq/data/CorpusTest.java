package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class CorpusTest {
    /** Whoever changes a source, a rule or a split changes results; the digest is of all texts in their order. */
    @ParameterizedTest
    @CsvSource({
        "EUROPARL, TRAIN, 1022, 1013759, d25ce355529d73dc0c717f5c2757727dd63b0142df9a3b2c8e19e2dbe0287f1e",
        "EUROPARL, VALIDATION, 135, 133868, 4d2ec9017d6107fb4dd347e785f8c98766d2f0068b55ef327bb41638155e76d8",
        "EUROPARL, TEST, 113, 118246, 73352d5534595986e716af3ed5f8b16459a0293eb07db716df09720e6856dfa1",
        "WORDNET, TRAIN, 105473, 7967353, 83415393f5fdd6586abae91803b00beb351182cf5448122842dc85989f4edf8b",
        "WORDNET, VALIDATION, 5908, 446409, 079e5e15d6ef9ed6369fc61debae3143cba07f02208729fef9a3c692f755e06f",
        "WORDNET, TEST, 5793, 441121, a854071266e1804ea7d8ee782f62df1a0cd69b778d5701b7c363e658ab658a65",
        "DICKENS, TRAIN, 59, 985209, 95fb56abfe33e2b261a6a54c14cae27e9420abf4ba5b79d5fa78a95b45649c06",
        "DICKENS, VALIDATION, 5, 97691, 6baeff82694b6e99f37945e33cd4a7cec33e41e3768c5db991eebc52d215b23a",
        "DICKENS, TEST, 9, 123031, 47d940dc06ab8508b1326341c240e0cca55247be8c5e5ca235f1c6b8d047cfc3"
    })
    void splitsNeverChange(Corpus corpus, Split split, int documents, int characters, String digest)
            throws IOException {
        List<String> texts = corpus.documents(split);

        assertThat(List.of(texts.size(), texts.stream().mapToInt(String::length).sum(), Digests.ofTexts(texts)))
                .containsExactly(documents, characters, digest);
    }

    @ParameterizedTest
    @EnumSource
    void eachTextIsInTheOneSplitOfItsKey(Corpus corpus) throws IOException {
        Map<String, Split> found = new HashMap<>();
        for (Split split : Split.values()) {
            for (String text : corpus.documents(split)) {
                assertThat(found.put(text, split)).as(text).isNull();
            }
        }
        Map<String, Split> expected = new HashMap<>();
        corpus.read().forEach(document -> expected.putIfAbsent(document.text(), corpus.splitOf(document.key())));

        assertThat(found.equals(expected)).isTrue();
        assertThat(found).containsValues(Split.values());
    }

    /** The hash is documented: these were worked out by another program. */
    @ParameterizedTest
    @CsvSource({
        "EUROPARL, 1996-02-09, TRAIN",
        "EUROPARL, 1996-03-05, VALIDATION",
        "EUROPARL, 1996-01-24, VALIDATION",
        "EUROPARL, 1996-02-08, TEST",
        "WORDNET, noun 00001740, TRAIN",
        "DICKENS, 1, TRAIN",
        "DICKENS, 73, TRAIN"
    })
    void theHashOfTheKeyDecides(Corpus corpus, String key, Split split) {
        assertThat(corpus.splitOf(key)).isEqualTo(split);
    }

    @Test
    void piecesOfEuroparlAreEnglish() throws IOException {
        Set<String> english = Set.of("the", "of", "to", "and", "in", "that", "is", "we", "for", "this", "on", "it");
        Set<String> others = Set.of(
                "der", "und", "die", "den", "het", "een", "van", "les", "des", "que", "una", "los", "che", "della",
                "não", "det", "och", "att", "og", "ikke", "ja", "ei", "και", "το", "się", "že", "nie", "és", "și");

        for (Split split : Split.values()) {
            assertThat(Corpus.EUROPARL.documents(split)).allSatisfy(text -> {
                List<String> words = List.of(text.toLowerCase(Locale.ROOT).split("\\P{L}+", -1));
                assertThat(words.stream().filter(english::contains).count())
                        .isGreaterThan(words.stream().filter(others::contains).count());
            });
        }
    }

    /** A chunk of 256 tokens has about a thousand characters. */
    @ParameterizedTest
    @EnumSource
    void theTestSplitHoldsManyChunks(Corpus corpus) throws IOException {
        assertThat(corpus.documents(Split.TEST).stream()
                        .mapToInt(String::length)
                        .sum())
                .isGreaterThan(80_000);
    }

    @ParameterizedTest
    @EnumSource
    void isKnownByItsName(Corpus corpus) throws IOException {
        assertThat(Corpus.named(corpus.label())).contains(corpus);
        int documents = 0;
        for (Split split : Split.values()) {
            documents += corpus.documents(split).size();
        }
        assertThat(corpus.description()).startsWith(documents + " ");
    }

    @Test
    void otherNamesAreNone() {
        assertThat(Corpus.named("Europarl")).isEmpty();
        assertThat(Corpus.named("")).isEmpty();
    }
}
