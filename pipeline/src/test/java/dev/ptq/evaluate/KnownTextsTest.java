package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.data.TextFile;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KnownTextsTest {
    private static PerplexitySettings settings(String path, PerplexityProtocol protocol, int seqLen) {
        TextFile text = new TextFile(path, TextFile.Layout.WIKITEXT, "");
        return new PerplexitySettings(
                "w", text, seqLen, protocol, OmniquantStream.WIKITEXT2, OptionalInt.empty(), 4, false);
    }

    @ParameterizedTest
    @CsvSource({
        "data/wikitext2/test.txt, 2048, 166, 32000",
        "data/wikitext-2-raw/test.jsonl, 4096, 83, 32000",
        "wikitext2.txt, 2048, 140, 50272",
        // other texts, other tokenizers
        "data/wikitext-103/test.txt, 2048, 161, 32000",
        "data/wikitext20/test.txt, 2048, 161, 32000",
        "data/ptb/test.txt, 2048, 161, 32000",
        "data/wikitext2/test.txt, 2048, 161, 512",
    })
    void whatIsExpectedIsNotWorthAWord(String path, int seqLen, int chunks, int vocabulary) {
        for (PerplexityProtocol protocol : PerplexityProtocol.values()) {
            assertThat(KnownTexts.warning(settings(path, protocol, seqLen), chunks, vocabulary))
                    .isEmpty();
        }
    }

    @Test
    void anotherNumberOfChunksIsSaid() {
        String path = "data/wikitext2/test.txt";
        assertThat(KnownTexts.warning(settings(path, PerplexityProtocol.GPTQ, 2048), 161, 32000))
                .hasValue(path + ": 161 chunks of 2048 tokens; WikiText-2 raw, test, has 166 with this tokenizer, so"
                        + " published figures are of another text: look at its edition, its split, and how its rows are"
                        + " joined");
        assertThat(KnownTexts.warning(settings(path, PerplexityProtocol.OMNIQUANT, 2048), 161, 32000))
                .isPresent();
        assertThat(KnownTexts.warning(settings(path, PerplexityProtocol.LQER, 2048), 157, 32000))
                .isEmpty();
    }
}
