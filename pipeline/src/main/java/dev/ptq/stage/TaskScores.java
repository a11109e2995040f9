package dev.ptq.stage;

import dev.ptq.evaluate.task.SampleLog;
import dev.ptq.run.Manifest;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** What the artifacts of {@link TasksStage} say of a run. */
final class TaskScores {
    private TaskScores() {}

    /** The metrics of all variants of a run on one task or group. */
    static Map<String, Object> metrics(Path run, String task, List<Variant> variants) throws IOException {
        Map<String, Object> metrics = new LinkedHashMap<>();
        for (Variant variant : variants) {
            Path folder = run.resolve(TasksStage.directory(variant, task));
            for (Map.Entry<String, JsonNode> metric :
                    JsonFiles.read(folder.resolve(TasksStage.METRICS)).properties()) {
                metrics.put(variant.metricPrefix() + metric.getKey(), value(metric.getValue()));
            }
        }
        if (variants.contains(Variant.FULL_PRECISION)) {
            Path exact = run.resolve(TasksStage.directory(Variant.FULL_PRECISION, task));
            for (Variant variant : variants) {
                if (variant != Variant.FULL_PRECISION) {
                    flips(exact, run.resolve(TasksStage.directory(variant, task)))
                            .ifPresent(share -> metrics.put(
                                    variant.metricPrefix() + task + "/flips/" + Variant.FULL_PRECISION.label(), share));
                }
            }
        }
        return metrics;
    }

    private static Object value(JsonNode node) {
        if (node.isString()) {
            return node.asString();
        }
        return node.isIntegralNumber() ? (Object) node.longValue() : node.doubleValue();
    }

    /** The documents of each task that one variant was scored on. */
    static Map<String, List<SampleLog.Outcome>> outcomes(Path folder) throws IOException {
        Map<String, List<SampleLog.Outcome>> outcomes = new TreeMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, TasksStage.SAMPLES + "*.jsonl")) {
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                outcomes.put(
                        name.substring(TasksStage.SAMPLES.length(), name.length() - ".jsonl".length()),
                        SampleLog.read(file));
            }
        }
        return outcomes;
    }

    /** The share of the documents that one variant has right and the other wrong; none where nothing is right or wrong. */
    private static OptionalDouble flips(Path first, Path second) throws IOException {
        Map<String, List<SampleLog.Outcome>> expected = outcomes(first);
        int documents = 0;
        int flips = 0;
        for (Map.Entry<String, List<SampleLog.Outcome>> task : outcomes(second).entrySet()) {
            List<SampleLog.Outcome> before = expected.getOrDefault(task.getKey(), List.of());
            List<SampleLog.Outcome> after = task.getValue();
            if (before.size() != after.size()) {
                throw new IOException(second + ": not the documents of " + first);
            }
            for (int i = 0; i < after.size(); i++) {
                Double right = after.get(i).metrics().get("acc");
                if (right != null) {
                    documents++;
                    flips += right.equals(before.get(i).metrics().get("acc")) ? 0 : 1;
                }
            }
        }
        return documents == 0 ? OptionalDouble.empty() : OptionalDouble.of((double) flips / documents);
    }

    /** A result file in the harness's layout of all tasks, to which texts are added. */
    static ObjectNode harness(Experiment experiment, Path run, Manifest manifest) throws IOException {
        ObjectNode content = merged(experiment, run, TasksStage.RESULTS);
        ObjectNode config = content.withObject("/config");
        config.put("model", "ptq");
        config.put("model_args", "pretrained=" + experiment.model().name());
        config.put("model_dtype", "float32");
        config.put("device", "cpu");
        content.put("git_hash", manifest.program().commit());
        content.put("date", manifest.started().toEpochMilli() / 1000.0);
        content.put("framework", "ptq " + manifest.program().version());
        content.put("model_source", "ptq");
        content.put("model_name", experiment.model().name());
        content.put("model_name_sanitized", experiment.model().name().replaceAll("[\"<>:/|\\\\?*\\[\\]]+", "__"));
        content.put("max_length", experiment.shape().positions().count());
        content.put("start_time", seconds(manifest.started()));
        content.put("end_time", seconds(manifest.ended()));
        content.put("total_evaluation_time_seconds", String.valueOf(manifest.seconds()));
        return content;
    }

    private static double seconds(Instant time) {
        return time.toEpochMilli() / 1000.0;
    }

    /** The files of one name of all tasks in one: what they have under a common key together. */
    static ObjectNode merged(Experiment experiment, Path run, String file) throws IOException {
        ObjectNode merged = JsonMapper.shared().createObjectNode();
        for (String task : experiment.evaluation().taskNames()) {
            Path own =
                    run.resolve(TasksStage.directory(Variant.QUANTIZED, task)).resolve(file);
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
