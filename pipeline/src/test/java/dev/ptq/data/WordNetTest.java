package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class WordNetTest {
    @Test
    void aGlossIsADocument() {
        assertThat(WordNet.documents(
                        "verb",
                        Stream.of(
                                "  1 This is a licence | of two lines  ",
                                "  2 that are indented  ",
                                "00001740 29 v 01 whistle 0 001 @ 00002325 v 0000 01 + 02 00 | make a high sound; \"he"
                                        + " whistled  twice\"  ",
                                "00002325 29 v 01 pipe 0 000 00 | a | b")))
                .containsExactly(
                        new CorpusDocument("verb 00001740", "make a high sound; \"he whistled  twice\""),
                        new CorpusDocument("verb 00002325", "a | b"));
    }
}
