package dev.ptq.experiment;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.evaluate.task.SampleLog;
import dev.ptq.stage.JsonFiles;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;

/** Reads the scores of evaluated tasks from a run's artifacts. */
final class TaskScores {
    private TaskScores() {}

    /** Returns the metrics of all variants of a run on one task or group. */
    static Map<MetricName, Object> metrics(Path run, String task, List<Variant> variants) throws IOException {
        Map<MetricName, Object> metrics = new LinkedHashMap<>();
        for (Variant variant : variants) {
            Path file = run.resolve(RunFiles.task(variant, task)).resolve(RunFiles.METRICS);
            for (Map.Entry<String, JsonNode> metric : JsonFiles.read(file).properties()) {
                if (!(MetricName.parse(metric.getKey()) instanceof MetricName.OfTask own)) {
                    throw new IOException(file + ": expected metrics of tasks, got " + metric.getKey());
                }
                metrics.put(own.of(variant), value(metric.getValue()));
            }
        }
        if (variants.contains(Variant.FULL_PRECISION)) {
            Path exact = run.resolve(RunFiles.task(Variant.FULL_PRECISION, task));
            for (Variant variant : variants) {
                if (variant != Variant.FULL_PRECISION) {
                    flips(exact, run.resolve(RunFiles.task(variant, task)))
                            .ifPresent(share ->
                                    metrics.put(new MetricName.Flips(variant, task, Variant.FULL_PRECISION), share));
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

    /** Returns the documents of each task that one variant was scored on. */
    static Map<String, List<SampleLog.Outcome>> outcomes(Path folder) throws IOException {
        Map<String, List<SampleLog.Outcome>> outcomes = new TreeMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, RunFiles.samplesPattern())) {
            for (Path file : files) {
                outcomes.put(RunFiles.taskOfSamples(String.valueOf(file.getFileName())), SampleLog.read(file));
            }
        }
        return outcomes;
    }

    /**
     * Returns the share of documents that exactly one of two variants has right; none if documents are not right or
     * wrong.
     */
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
                Double right = after.get(i).metrics().get(Metric.ACC.label());
                if (right != null) {
                    documents++;
                    flips += right.equals(before.get(i).metrics().get(Metric.ACC.label())) ? 0 : 1;
                }
            }
        }
        return documents == 0 ? OptionalDouble.empty() : OptionalDouble.of((double) flips / documents);
    }
}
