package dev.ptq.experiment;

import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TextCondition;
import dev.ptq.artifact.Variant;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.JsonFiles;
import dev.ptq.stage.Ledger;
import dev.ptq.stage.Scores;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import tools.jackson.databind.JsonNode;

/**
 * The measurements of an experiment, gathered from the artifacts in the directory of its run.
 *
 * @param texts in the order of the experiment
 * @param tasks the metrics and conditions of all tasks and variants
 * @param weights the metrics of the weights
 * @param ledger what went otherwise than expected
 */
public record Measurements(
        List<OfText> texts, Map<MetricName, Object> tasks, Map<MetricName, Object> weights, List<LedgerEntry> ledger) {
    /** The metrics of every evaluation of a text. */
    private static final List<Metric> ALWAYS = List.of(Metric.PERPLEXITY, Metric.LOSS);

    /**
     * The measurements on a text.
     *
     * @param scores of each variant, in order
     */
    public record OfText(String text, Map<Variant, Scores> scores, LossDifferences differences) {
        private static OfText of(Experiment experiment, Path run, PerplexitySettings perplexity) throws IOException {
            Map<Variant, Scores> scores = new LinkedHashMap<>();
            Map<Variant, Double> losses = new LinkedHashMap<>();
            for (Variant variant : experiment.textVariants()) {
                Scores own = Scores.read(run.resolve(RunFiles.text(variant, perplexity.name())));
                scores.put(variant, own);
                losses.put(variant, own.metric(Metric.LOSS));
            }
            return new OfText(perplexity.name(), scores, LossDifferences.of(run, perplexity, losses));
        }

        /** Returns a metric of the experiment itself, one that every evaluation has. */
        public double metric(Metric metric) {
            return Objects.requireNonNull(scores.get(Variant.QUANTIZED), text).metric(metric);
        }

        private void addTo(Map<MetricName, Object> metrics) {
            scores.forEach((variant, own) -> addTo(metrics, variant, own));
            metrics.putAll(differences.metrics());
        }

        /** Adds the perplexity and the loss, then the conditions, then the entries that only some settings give. */
        private void addTo(Map<MetricName, Object> metrics, Variant variant, Scores own) {
            for (Metric metric : ALWAYS) {
                metrics.put(new MetricName.OfText(variant, text, metric), own.metric(metric));
            }
            List<TextCondition> conditions = new ArrayList<>(List.of(TextCondition.NOTE));
            conditions.addAll(variant == Variant.QUANTIZED ? TextCondition.IN_METRICS : List.of());
            for (TextCondition condition : conditions) {
                Object value = own.conditions().get(condition);
                if (value != null) {
                    metrics.put(new MetricName.Condition(variant, text, condition), value);
                }
            }
            own.metrics().forEach((metric, value) -> {
                if (!ALWAYS.contains(metric)) {
                    metrics.put(new MetricName.OfText(variant, text, metric), value);
                }
            });
        }
    }

    /**
     * Gathers the measurements.
     *
     * @param run the directory
     * @throws IOException naming a file that is absent or damaged
     */
    public static Measurements of(Experiment experiment, Path run) throws IOException {
        List<OfText> texts = new ArrayList<>();
        for (PerplexitySettings perplexity : experiment.evaluation().perplexities()) {
            texts.add(OfText.of(experiment, run, perplexity));
        }
        Map<MetricName, Object> tasks = new LinkedHashMap<>();
        for (String task : experiment.evaluation().taskNames()) {
            tasks.putAll(TaskScores.metrics(run, task, experiment.variants()));
        }
        Map<MetricName, Object> weights = new LinkedHashMap<>();
        addWeights(run.resolve(RunFiles.QUANTIZE), weights);
        addWeights(run.resolve(RunFiles.COST), weights);
        if (experiment.steps().rotationLearning().isPresent()) {
            addWeights(run.resolve(RunFiles.ROTATE), weights);
        }
        if (experiment.steps().transforms() || experiment.steps().rotates()) {
            addWeights(run.resolve(RunFiles.APPROXIMATE), weights);
        }
        return new Measurements(texts, tasks, weights, Ledger.read(run));
    }

    private static void addWeights(Path stage, Map<MetricName, Object> target) throws IOException {
        for (Map.Entry<String, JsonNode> metric :
                JsonFiles.read(stage.resolve(RunFiles.METRICS)).properties()) {
            target.put(MetricName.parse(metric.getKey()), metric.getValue().asDouble());
        }
    }

    /** Returns all of them, in the order of {@code metrics.json}: numbers, and words for conditions. */
    public Map<MetricName, Object> metrics() {
        Map<MetricName, Object> metrics = new LinkedHashMap<>();
        texts.forEach(text -> text.addTo(metrics));
        metrics.putAll(tasks);
        metrics.putAll(weights);
        for (LedgerEvent event : LedgerEvent.values()) {
            long count = ledger.stream().filter(entry -> entry.event() == event).count();
            if (count > 0) {
                metrics.put(new MetricName.Events(event), count);
            }
        }
        return metrics;
    }
}
