package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.TextCondition;
import dev.ptq.evaluate.PerplexityProtocol;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScoresTest {
    @TempDir
    Path folder;

    @Test
    void haveEveryMetricAndConditionInTheFileAndBack() throws IOException {
        Map<Metric, Double> metrics = Arrays.stream(Metric.values())
                .filter(Metric::isOfText)
                .collect(Collectors.toMap(
                        metric -> metric, metric -> metric.label().length() + 0.1));
        Map<TextCondition, Object> conditions = Arrays.stream(TextCondition.values())
                .collect(Collectors.toMap(condition -> condition, condition -> "word " + condition));
        conditions.put(TextCondition.TOKENS, 3_000_000_000L);
        Scores scores = new Scores(metrics, conditions);

        scores.write(folder);

        assertThat(Scores.read(folder)).isEqualTo(scores);
    }

    @Test
    void areInTheOrderOfEarlierVersions() throws IOException {
        new Scores(
                        Map.of(Metric.TOP1_AGREEMENT, 0.5, Metric.LOSS, 2.0, Metric.PERPLEXITY, 7.5),
                        Map.of(TextCondition.TOKENS, 9L, TextCondition.DATASET, "tales"))
                .write(folder);

        assertThat(Files.readString(folder.resolve("scores.json"))).isEqualToNormalizingNewlines("""
                {
                  "perplexity" : 7.5,
                  "loss" : 2.0,
                  "dataset" : "tales",
                  "tokens" : 9,
                  "top1_agreement" : 0.5
                }
                """);
    }

    @Test
    void withoutALossAreRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("scores.json"), "{\"perplexity\": 2}");

        assertThatIOException()
                .isThrownBy(() -> Scores.read(folder))
                .withMessage(file + ": expected a perplexity and a loss; make it again with --force evaluate");
        Files.writeString(file, "[");
        assertThatIOException().isThrownBy(() -> Scores.read(folder)).withMessageContaining(file + ": not valid JSON");
    }

    @Test
    void knowOnlyProtocolsThatThereAre() {
        Scores scores = new Scores(Map.of(), Map.of(TextCondition.PROTOCOL, "guess"));

        assertThat(scores.protocol()).isEmpty();
        assertThat(new Scores(Map.of(), Map.of(TextCondition.PROTOCOL, "lqer")).protocol())
                .contains(PerplexityProtocol.LQER);
        assertThat(scores.batchSize()).isZero();
    }
}
