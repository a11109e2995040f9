package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
}
