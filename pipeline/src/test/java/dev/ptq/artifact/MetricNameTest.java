package dev.ptq.artifact;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.artifact.MetricName.Bound;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class MetricNameTest {
    /** Names of texts and tasks that look like other parts. */
    private static final List<String> NAMES =
            List.of("t", "wikitext2", "low", "high", "loss", "perplexity", "loss_recovered", "acc", "flips", "note");

    /** One of each kind, for every constant. */
    static List<MetricName> names() {
        List<MetricName> names = new ArrayList<>();
        for (String name : NAMES) {
            for (Variant variant : Variant.values()) {
                Arrays.stream(Metric.values())
                        .filter(Metric::isOfText)
                        .forEach(metric -> names.add(new MetricName.OfText(variant, name, metric)));
                Arrays.stream(TextCondition.values())
                        .forEach(condition -> names.add(new MetricName.Condition(variant, name, condition)));
                for (Variant baseline : Variant.values()) {
                    MetricName difference = new MetricName.LossOver(variant, name, baseline);
                    names.add(difference);
                    names.add(new Bound(difference, Bound.Side.LOW));
                    names.add(new Bound(difference, Bound.Side.HIGH));
                }
            }
            names.add(new MetricName.LossRecovered(name));
            names.add(new Bound(new MetricName.LossRecovered(name), Bound.Side.HIGH));
        }
        for (Variant variant : Variant.values()) {
            for (String task : List.of("arc_easy", "mmlu", "acc")) {
                Arrays.stream(TaskCondition.values())
                        .forEach(condition -> names.add(new MetricName.OfTask(task, condition).of(variant)));
                Arrays.stream(Metric.values())
                        .filter(metric -> metric.basis() == Metric.Basis.DOCUMENTS)
                        .map(metric -> new MetricName.OfTask(variant, task, metric.label()))
                        .forEach(metric -> names.addAll(List.of(metric, metric.error())));
                names.add(new MetricName.Flips(variant, task, Variant.FULL_PRECISION));
            }
        }
        Arrays.stream(Metric.values())
                .filter(metric -> metric.basis() == Metric.Basis.WEIGHTS)
                .forEach(metric -> names.add(new MetricName.OfWeights(metric)));
        Arrays.stream(LedgerEvent.values()).forEach(event -> names.add(new MetricName.Events(event)));
        return names;
    }

    @Test
    void areReadAsTheyWereWritten() {
        Map<String, MetricName> byKey = new LinkedHashMap<>();
        for (MetricName name : names()) {
            assertThat(MetricName.parse(name.key())).as(name.key()).isEqualTo(name);
            assertThat(byKey.put(name.key(), name)).as(name.key()).isNull();
        }
        assertThat(byKey).hasSizeGreaterThan(1000);
    }

    static List<List<Object>> spellings() {
        return List.of(
                List.of("perplexity/t", new MetricName.OfText("t", Metric.PERPLEXITY)),
                List.of("adapted/perplexity/t/loss", new MetricName.OfText(Variant.ADAPTED, "t", Metric.LOSS)),
                List.of(
                        "round_to_nearest/perplexity/t/top1_agreement",
                        new MetricName.OfText(Variant.ROUND_TO_NEAREST, "t", Metric.TOP1_AGREEMENT)),
                List.of("perplexity/t/seq_len", new MetricName.Condition("t", TextCondition.SEQ_LEN)),
                List.of(
                        "adapted/perplexity/t/loss_over/quantized",
                        new MetricName.LossOver(Variant.ADAPTED, "t", Variant.QUANTIZED)),
                List.of("loss_recovered/t/low", new Bound(new MetricName.LossRecovered("t"), Bound.Side.LOW)),
                List.of(
                        "full_precision/arc_easy/acc_norm_stderr",
                        new MetricName.OfTask(Variant.FULL_PRECISION, "arc_easy", "acc_norm").error()),
                List.of(
                        "arc_easy/flips/full_precision",
                        new MetricName.Flips(Variant.QUANTIZED, "arc_easy", Variant.FULL_PRECISION)),
                List.of("bits_per_weight", new MetricName.OfWeights(Metric.BITS_PER_WEIGHT)));
    }

    @ParameterizedTest
    @MethodSource("spellings")
    void areSpelledAsUsersKnowThem(List<Object> spelling) {
        assertThat(((MetricName) spelling.get(1)).key()).isEqualTo(spelling.get(0));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "/",
                "perplexity",
                "perplexity/t/huge",
                "perplexity/t/loss_over/nothing",
                "perplexity/t/a/b/c",
                "full_precision/loss_recovered/t",
                "adapted/bits_per_weight",
                "f",
                "a//b",
                "perplexity/"
            })
    void ofOtherProgramsAreKept(String key) {
        assertThat(MetricName.parse(key).key()).isEqualTo(key);
    }

    /** Anybody may have written the file. */
    @Test
    void mayBeAsLongAsAFile() {
        String key = "a" + "/low".repeat(1_000_000);

        assertThat(MetricName.parse(key).key()).isEqualTo(key);
    }

    @Test
    void textsAreThoseWithAPerplexityOfTheRunItself() {
        assertThat(MetricName.texts(List.of(
                        new MetricName.OfText("b", Metric.PERPLEXITY),
                        new MetricName.OfText("c", Metric.LOSS),
                        new MetricName.OfText(Variant.ADAPTED, "d", Metric.PERPLEXITY),
                        new MetricName.OfTask("lambada_openai", "perplexity"),
                        new MetricName.OfText("a", Metric.PERPLEXITY))))
                .containsExactly("b", "a");
    }

    @Test
    void metricsHaveNamesOfTheirOwn() {
        assertThat(Arrays.stream(Metric.values()).map(Metric::label)).doesNotHaveDuplicates();
        assertThat(Arrays.stream(Metric.values()).map(Metric::label))
                .doesNotContainAnyElementsOf(Arrays.stream(TextCondition.values())
                        .map(TextCondition::label)
                        .toList());
    }
}
