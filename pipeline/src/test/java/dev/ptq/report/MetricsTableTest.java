package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MetricsTableTest {
    @Test
    void showsTextsWithAllVariantsAndWhatIsMissingAsADash() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put("full_precision/perplexity/a", 4.0);
        metrics.put("round_to_nearest/perplexity/a", 6.25);
        for (String text : new String[] {"a", "long_name"}) {
            metrics.put("perplexity/" + text, 5.5);
            metrics.put("perplexity/" + text + "/loss", 1.7);
            metrics.put("perplexity/" + text + "/protocol", "gptq");
            metrics.put("perplexity/" + text + "/seq_len", 256);
            metrics.put("perplexity/" + text + "/tokens", 32640);
        }
        metrics.put("loss_recovered/a", 0.28642);
        metrics.put("bits_per_weight", 4.5);

        assertThat(MetricsTable.render(metrics).lines())
                .containsExactly(
                        "perplexity  full precision  round to nearest  this run  loss recovered  protocol  tokens",
                        "a                   4.0000            6.2500    5.5000           0.286  gptq 256   32640",
                        "long_name                -                 -    5.5000               -  gptq 256   32640",
                        "bits per weight: 4.500");
    }

    @Test
    void withoutTextsOnlyTheBitsAreLeft() {
        assertThat(MetricsTable.render(Map.of("bits_per_weight", 32.0)).lines())
                .containsExactly("bits per weight: 32.000");
    }
}
