package dev.ptq.experiment;

import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.run.Manifest;
import dev.ptq.stage.EvaluationSettings;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.JsonFiles;
import dev.ptq.stage.Ledger;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes the files that gather the results of a run's stages: {@code ledger.csv}, {@code metrics.json} and, in the harness's layouts,
 * {@code evaluate/results.json} and, on request, {@code evaluate/harness_results.json}.
 *
 * @param run the directory, with the artifacts of all stages
 */
record ResultFiles(Experiment experiment, Path run, Manifest manifest) {
    /** Writes them. */
    void write() throws IOException {
        writeLedger();
        Measurements measurements = Measurements.of(experiment, run);
        writeMetrics(measurements.metrics());
        EvaluationSettings evaluation = experiment.evaluation();
        if (evaluation.perplexities().isEmpty() && evaluation.tasks().isEmpty()) {
            return;
        }
        Path folder = run.resolve(RunFiles.EVALUATE);
        JsonFiles.write(folder.resolve(RunFiles.RESULTS), harness(measurements));
        if (evaluation.tasks().map(TasksSettings::lqerJson).orElse(false)) {
            JsonFiles.write(folder.resolve(RunFiles.HARNESS_RESULTS), merged(RunFiles.HARNESS_RESULTS));
        }
    }

    /** Gathers the ledgers of all stages, and what is odd about the model. */
    private void writeLedger() throws IOException {
        Ledger ledger = new Ledger(experiment.strict());
        ledger.take(experiment.modelNotes().stream()
                .map(note -> new LedgerEntry(
                        LedgerEvent.MODEL_NOTE, "model", experiment.model().name(), 1, note))
                .toList());
        for (String stage : manifest.stages().keySet()) {
            ledger.take(Ledger.read(run.resolve(stage)));
        }
        ledger.write(run);
    }

    private void writeMetrics(Map<MetricName, Object> metrics) throws IOException {
        Map<String, Object> content = new LinkedHashMap<>();
        metrics.forEach((name, value) -> content.put(name.key(), value));
        JsonFiles.write(run.resolve(RunFiles.METRICS), content);
    }

    /** Returns a result file in the harness's layout for all tasks and texts. */
    private ObjectNode harness(Measurements measurements) throws IOException {
        ObjectNode content = merged(RunFiles.RESULTS);
        String model = experiment.model().name();
        ObjectNode config = content.withObject("/config");
        config.put("model", "ptq");
        config.put("model_args", "pretrained=" + model);
        config.put("model_dtype", "float32");
        config.put("device", "cpu");
        content.put("git_hash", manifest.program().commit());
        content.put("date", manifest.started().toEpochMilli() / 1000.0);
        content.put("framework", "ptq " + manifest.program().version());
        content.put("model_source", "ptq");
        content.put("model_name", model);
        content.put("model_name_sanitized", model.replaceAll("[\"<>:/|\\\\?*\\[\\]]+", "__"));
        content.put("max_length", experiment.maxPositions());
        content.put("start_time", seconds(manifest.started()));
        content.put("end_time", seconds(manifest.ended()));
        content.put("total_evaluation_time_seconds", String.valueOf(manifest.seconds()));
        ObjectNode results = content.withObject("/results");
        for (Measurements.OfText text : measurements.texts()) {
            results.putObject(text.text())
                    .put("alias", text.text())
                    .put("token_perplexity,none", text.metric(Metric.PERPLEXITY))
                    .put("token_perplexity_stderr,none", "N/A");
        }
        return content;
    }

    private static double seconds(Instant time) {
        return time.toEpochMilli() / 1000.0;
    }

    /** Merges the files with one name of all tasks: entries under the same key are combined. */
    private ObjectNode merged(String file) throws IOException {
        ObjectNode merged = JsonMapper.shared().createObjectNode();
        for (String task : experiment.evaluation().taskNames()) {
            Path own = run.resolve(RunFiles.task(Variant.QUANTIZED, task)).resolve(file);
            for (Map.Entry<String, JsonNode> entry : JsonFiles.read(own).properties()) {
                if (entry.getValue() instanceof ObjectNode values) {
                    merged.withObject("/" + entry.getKey()).setAll(values);
                } else {
                    merged.set(entry.getKey(), entry.getValue());
                }
            }
        }
        return merged;
    }
}
