package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.artifact.Direction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MeasuresTest {
    @ParameterizedTest
    @CsvSource({
        "perplexity/europarl, LOWER",
        "perplexity/europarl/tokens, NEITHER",
        "perplexity/europarl/protocol, NEITHER",
        "lambada_openai/perplexity, LOWER",
        "lambada_openai/perplexity_stderr, NEITHER",
        "lambada_openai/ppl, LOWER",
        "wikitext/word_perplexity, LOWER",
        "wikitext/bits_per_byte, LOWER",
        "mmlu_stem/acc, HIGHER",
        "arc_easy/acc_norm, HIGHER",
        "arc_easy/acc_bytes, HIGHER",
        "arc_easy/acc_stderr, NEITHER",
        "arc_easy/documents, NEITHER",
        "loss_recovered/europarl, HIGHER",
        "bits_per_weight, NEITHER"
    })
    void knowsWhatIsBetter(String metric, Direction better) {
        assertThat(Measures.better(metric)).isEqualTo(better);
    }
}
