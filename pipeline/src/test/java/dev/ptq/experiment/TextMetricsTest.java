package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.artifact.Direction;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.TextCondition;
import dev.ptq.artifact.Unit;
import dev.ptq.artifact.Variant;
import dev.ptq.report.MetricsTable;
import dev.ptq.report.PaperTable;
import dev.ptq.report.ResultTable;
import dev.ptq.report.Results;
import dev.ptq.report.RunFolders;
import dev.ptq.stage.JsonFiles;
import dev.ptq.stage.Scores;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A metric of a text needs no more than its constant and its computation to be in all files and tables. */
class TextMetricsTest {
    private static final double VALUE = 0.375;

    @TempDir
    Path folder;

    @ParameterizedTest
    @EnumSource
    void goFromTheScoresToEveryTable(Metric metric) throws IOException {
        if (!metric.isOfText()) {
            assertThat(metric.basis()).isIn(Metric.Basis.VARIANTS, Metric.Basis.DOCUMENTS, Metric.Basis.WEIGHTS);
            return;
        }
        MetricName name = new MetricName.OfText("tales", metric);

        Map<MetricName, Object> metrics = gathered(scores(metric, VALUE));

        assertThat(metrics).containsEntry(name, VALUE);
        if (metric == Metric.LOSS) { // what the perplexity says already
            return;
        }
        String value = metric.unit() == Unit.SHARE ? "37.50 %" : metric.unit() == Unit.NATS ? "0.37500" : "0.3750";
        assertThat(MetricsTable.render(metrics)).contains(metric.title()).contains(value);
        if (metric.direction() == Direction.NEITHER) {
            assertThat(metric).as("the only one that says nothing of quality").isEqualTo(Metric.NUMERICAL_SPREAD);
            return;
        }
        boolean lower = metric.direction() == Direction.LOWER;
        String best = lower ? "0.25" : "0.75";
        assertThat(paperTable(name, scores(metric, 0.25), scores(metric, 0.75)))
                .contains("| " + name.key() + " |")
                .contains("**" + best + "**");
    }

    private static Scores scores(Metric metric, double value) {
        Map<Metric, Double> metrics = new LinkedHashMap<>();
        metrics.put(Metric.PERPLEXITY, 7.5);
        metrics.put(Metric.LOSS, 2.0);
        metrics.put(metric, value);
        return new Scores(metrics, Map.of(TextCondition.PROTOCOL, "gptq"));
    }

    /** Writes and reads the scores of a run, and gathers its metrics. */
    private Map<MetricName, Object> gathered(Scores scores) throws IOException {
        scores.write(folder);
        Measurements.OfText text = new Measurements.OfText(
                "tales", Map.of(Variant.QUANTIZED, Scores.read(folder)), new LossDifferences(List.of()));
        return new Measurements(List.of(text), Map.of(), Map.of(), List.of()).metrics();
    }

    /** The table of two runs for a paper. */
    private String paperTable(MetricName name, Scores first, Scores second) throws IOException {
        List<Scores> runs = List.of(first, second);
        for (int i = 0; i < runs.size(); i++) {
            Map<String, Object> metrics = new LinkedHashMap<>();
            gathered(runs.get(i)).forEach((each, value) -> metrics.put(each.key(), value));
            Path run = RunFolders.write(folder.resolve("runs/" + i), "seed = " + i + "\n", "");
            JsonFiles.write(run.resolve("metrics.json"), metrics);
        }
        assertThat(Files.readString(folder.resolve("runs/0/metrics.json"))).contains("\"" + name.key() + "\"");
        ResultTable table =
                ResultTable.of(Results.read(List.of(folder.resolve("runs"))).rows());
        return PaperTable.withBestBold(table.forPaper()).markdown();
    }
}
