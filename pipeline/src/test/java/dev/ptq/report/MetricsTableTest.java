package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.artifact.MetricName;
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

        assertThat(render(metrics).lines())
                .containsExactly(
                        "perplexity  full precision  round to nearest  this run  loss recovered  protocol  tokens"
                                + "  BOS  text",
                        "a                   4.0000            6.2500    5.5000           0.286  gptq 256   32640    -  -",
                        "long_name                -                 -    5.5000               -  gptq 256   32640    -  -",
                        "bits per weight: 4.500");
    }

    @Test
    void neverShowsAnAdaptedFigureWithoutItsMark() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        for (String text : new String[] {"a", "b"}) {
            metrics.put("perplexity/" + text, 5.5);
            metrics.put("perplexity/" + text + "/protocol", "gptq");
            metrics.put("perplexity/" + text + "/seq_len", 256);
            metrics.put("perplexity/" + text + "/tokens", 32640);
            metrics.put("perplexity/" + text + "/chunks", 64);
        }
        metrics.put("adapted/perplexity/a", 5.25);
        metrics.put("adapted/perplexity/a/note", "sees the test");
        difference(metrics, "adapted/perplexity/a/loss_over/full_precision", 0.0213, 0.019, 0.0236);
        difference(metrics, "adapted/perplexity/a/loss_over/quantized", -0.0465, -0.05, 0.04);
        metrics.put("adapted/perplexity/a/kl_divergence", 0.004);
        metrics.put("adapted/perplexity/a/top1_agreement", 1.0);
        metrics.put("bits_per_weight", 4.5);

        assertThat(render(metrics)).isEqualToNormalizingNewlines("""
                        perplexity  full precision  round to nearest  this run  adapted *  loss recovered  protocol  tokens  BOS  text
                        a                        -                 -    5.5000     5.2500               -  gptq 256   32640    -  -
                        b                        -                 -    5.5000          -               -  gptq 256   32640    -  -
                        * sees the test

                        difference in                       loss       95 % interval  perplexity
                        a, 64 chunks
                          adapted * over full precision  +0.0213  [+0.0190, +0.0236]     +2.15 %
                          adapted * over this run        -0.0465  [-0.0500, +0.0400]     -4.54 %  no difference shown
                        intervals: paired bootstrap over chunks; loss in nats per token

                        against full precision  KL divergence  top-1 agreement
                        a, adapted *                  0.00400         100.00 %

                        bits per weight: 4.500
                        """);
    }

    @Test
    void saysWhichDifferenceIsBelowTheNumericalSpread() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put("perplexity/a", 5.5);
        metrics.put("perplexity/a/numerical_spread", 0.002);
        metrics.put("round_to_nearest/perplexity/a/numerical_spread", 0.004);
        difference(metrics, "perplexity/a/loss_over/round_to_nearest", 0.003, 0.001, 0.005);
        difference(metrics, "perplexity/a/loss_over/full_precision", 0.003, 0.001, 0.005);

        assertThat(render(metrics).lines())
                .anyMatch(line -> line.contains("this run over round") && line.endsWith("below the numerical spread"))
                .anyMatch(line -> line.contains("this run over full") && line.endsWith("+0.30 %"));
    }

    @Test
    void showsTasksThatWereAskedForByName() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put("full_precision/mmlu/acc", 0.5);
        metrics.put("full_precision/mmlu/num_fewshot", 5);
        metrics.put("mmlu/acc", 0.45678);
        metrics.put("mmlu/acc_stderr", 0.0101);
        metrics.put("mmlu/documents", 14042);
        metrics.put("mmlu/num_fewshot", 5);
        metrics.put("mmlu_stem/acc", 0.4);
        metrics.put("mmlu_stem/documents", 3000);
        metrics.put("mmlu/flips/full_precision", 0.123);
        metrics.put("wikitext/word_perplexity", 12.25);
        metrics.put("wikitext/documents", 62);
        metrics.put("wikitext/num_fewshot", 0);
        metrics.put("bits_per_weight", 4.5);

        assertThat(render(metrics).lines())
                .containsExactly(
                        "task      metric           full precision  round to nearest  this run  standard error  flips  shots"
                                + "  documents",
                        "mmlu      acc                      0.5000                 -    0.4568          0.0101  0.123      5"
                                + "      14042",
                        "wikitext  word_perplexity               -                 -   12.2500               -      -      0"
                                + "         62",
                        "",
                        "bits per weight: 4.500");
    }

    @Test
    void showsHowPredictionsDifferFromFullPrecision() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put("round_to_nearest/perplexity/a/kl_divergence", 0.0123456);
        metrics.put("round_to_nearest/perplexity/a/top1_agreement", 0.91234);
        metrics.put("perplexity/a", 5.5);
        metrics.put("perplexity/a/kl_divergence", 0.004);
        metrics.put("perplexity/a/top1_agreement", 1.0);

        assertThat(render(metrics).lines())
                .containsSubsequence(
                        "against full precision  KL divergence  top-1 agreement",
                        "a, round to nearest           0.01235          91.23 %",
                        "a, this run                   0.00400         100.00 %");
    }

    @Test
    void showsWhatSeparatesTheVariantsWithIntervals() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        for (String text : new String[] {"europarl", "wikitext2", "short"}) {
            metrics.put("full_precision/perplexity/" + text, 12.1);
            metrics.put("round_to_nearest/perplexity/" + text, 12.6);
            metrics.put("perplexity/" + text, 12.35);
            metrics.put("perplexity/" + text + "/protocol", "gptq");
            metrics.put("perplexity/" + text + "/seq_len", 256);
            metrics.put("perplexity/" + text + "/chunks", text.equals("short") ? 1 : 64);
            metrics.put("perplexity/" + text + "/tokens", 16320);
            metrics.put("perplexity/" + text + "/bos", "text");
        }
        difference(metrics, "round_to_nearest/perplexity/europarl/loss_over/full_precision", 0.0412, 0.038, 0.0444);
        difference(metrics, "perplexity/europarl/loss_over/full_precision", 0.0213, 0.019, 0.0236);
        difference(metrics, "perplexity/europarl/loss_over/round_to_nearest", -0.0199, -0.0221, -0.0175);
        difference(metrics, "loss_recovered/europarl", 0.483, 0.4412, 0.5251);
        difference(metrics, "round_to_nearest/perplexity/wikitext2/loss_over/full_precision", 0.0004, -0.001, 0.0018);
        difference(metrics, "perplexity/wikitext2/loss_over/full_precision", 0, 0, 0);
        difference(metrics, "perplexity/wikitext2/loss_over/round_to_nearest", -1.5, -2.25, -0.75);
        metrics.put("loss_recovered/wikitext2", 1.0);
        metrics.put("perplexity/short/loss_over/full_precision", 0.0213);
        metrics.put("bits_per_weight", 4.5);

        assertThat(render(metrics)).isEqualToNormalizingNewlines("""
                        perplexity  full precision  round to nearest  this run  loss recovered  protocol  tokens   BOS  text
                        europarl           12.1000           12.6000   12.3500           0.483  gptq 256   16320  text  -
                        wikitext2          12.1000           12.6000   12.3500           1.000  gptq 256   16320  text  -
                        short              12.1000           12.6000   12.3500               -  gptq 256   16320  text  -

                        difference in                              loss       95 % interval  perplexity
                        europarl, 64 chunks
                          round to nearest over full precision  +0.0412  [+0.0380, +0.0444]     +4.21 %
                          this run over full precision          +0.0213  [+0.0190, +0.0236]     +2.15 %
                          this run over round to nearest        -0.0199  [-0.0221, -0.0175]     -1.97 %
                          loss recovered                          0.483      [0.441, 0.525]
                        wikitext2, 64 chunks
                          round to nearest over full precision  +0.0004  [-0.0010, +0.0018]     +0.04 %  no difference shown
                          this run over full precision          +0.0000  [+0.0000, +0.0000]     +0.00 %  no difference shown
                          this run over round to nearest        -1.5000  [-2.2500, -0.7500]    -77.69 %
                          loss recovered                          1.000                   -
                        short, 1 chunk
                          this run over full precision          +0.0213                   -     +2.15 %
                        intervals: paired bootstrap over chunks; loss in nats per token

                        bits per weight: 4.500
                        """);
    }

    private static String render(Map<String, Object> metrics) {
        Map<MetricName, Object> named = new LinkedHashMap<>();
        metrics.forEach((name, value) -> named.put(MetricName.parse(name), value));
        return MetricsTable.render(named);
    }

    private static void difference(Map<String, Object> metrics, String name, double value, double low, double high) {
        metrics.put(name, value);
        metrics.put(name + "/low", low);
        metrics.put(name + "/high", high);
    }

    @Test
    void withoutTextsOnlyTheBitsAreLeft() {
        assertThat(render(Map.of("bits_per_weight", 32.0)).lines()).containsExactly("bits per weight: 32.000");
    }
}
