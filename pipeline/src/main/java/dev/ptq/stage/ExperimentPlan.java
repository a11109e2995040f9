package dev.ptq.stage;

import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.run.Manifest;
import dev.ptq.run.Plan;
import dev.ptq.run.Stage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The stages of an experiment, and the metrics that their artifacts hold. */
public final class ExperimentPlan {
    /** The name of the file in a run directory. */
    static final String METRICS = "metrics.json";

    /** What only some settings give. */
    private static final List<String> MEASURES = List.of(
            EvaluateStage.DIVERGENCE, EvaluateStage.AGREEMENT, "word_perplexity", "byte_perplexity", "bits_per_byte");

    /** The experiment with all defaults. */
    public static final String RESOLVED = "resolved.toml";

    private ExperimentPlan() {}

    /** The stages, in order; calibration only where a step needs it. */
    public static Plan of(Workspace workspace) throws IOException {
        Experiment experiment = workspace.experiment();
        List<Stage> stages = new ArrayList<>();
        if (experiment.calibration().isPresent() && !experiment.statistics().isEmpty()) {
            stages.add(new CalibrateStage(workspace, experiment.calibration().get()));
        }
        if (!experiment.steps().isEmpty()) {
            stages.add(new ApproximateStage(workspace));
        }
        stages.add(new QuantizeStage(workspace));
        for (PerplexitySettings perplexity : experiment.evaluation().perplexities()) {
            for (Variant variant : experiment.variants()) {
                stages.add(new EvaluateStage(workspace, variant, perplexity));
            }
            if (experiment.adaptation().isPresent()) {
                stages.add(new AdaptedStage(workspace, experiment.adaptation().get(), perplexity));
            }
        }
        Optional<TasksSettings> tasks = experiment.evaluation().tasks();
        for (String name : experiment.evaluation().taskNames()) {
            for (Variant variant : experiment.variants()) {
                stages.add(new TasksStage(workspace, variant, name, tasks.orElseThrow()));
            }
        }
        return new Plan(stages);
    }

    /** What of an experiment has no effect, one line each. */
    public static List<String> unused(Experiment experiment) {
        List<String> unused = new ArrayList<>();
        if (experiment.calibration().isPresent() && !experiment.usesCalibration()) {
            unused.add("no step needs it: [calibration] is not used");
        }
        if (experiment.adaptation().isPresent()
                && experiment.evaluation().perplexities().isEmpty()) {
            unused.add("there is no text to adapt to: " + TestTimeAdaptation.KEY + " is not used");
        }
        return unused;
    }

    /** What it means that a setting of a stage differs, where its key does not tell. */
    public static String meaning(String setting) {
        return switch (setting) {
            case "model.sha256" -> "the model's files changed, or it is another";
            case "tokenizer.sha256" -> "the tokenizer's files changed, or it is another";
            case "text.sha256" -> "the text changed, or it is another";
            default -> "";
        };
    }

    /** Gathers the metrics of a run from the artifacts in its directory: flat names to numbers and words. */
    public static Map<String, Object> metrics(Experiment experiment, Path run) throws IOException {
        Map<String, Object> metrics = new LinkedHashMap<>();
        for (PerplexitySettings perplexity : experiment.evaluation().perplexities()) {
            Map<Variant, Double> losses = new LinkedHashMap<>();
            for (Variant variant : experiment.textVariants()) {
                JsonNode scores = JsonFiles.read(run.resolve(EvaluateStage.directory(variant, perplexity))
                        .resolve(EvaluateStage.SCORES));
                String name = variant.metricPrefix() + "perplexity/" + perplexity.name();
                metrics.put(name, scores.get("perplexity").asDouble());
                metrics.put(name + "/loss", scores.get("loss").asDouble());
                if (variant == Variant.QUANTIZED) {
                    for (String condition : List.of("dataset", "protocol", "bos")) {
                        metrics.put(
                                name + "/" + condition, scores.get(condition).asString());
                    }
                    for (String count : List.of("seq_len", "chunks", "tokens")) {
                        metrics.put(name + "/" + count, scores.get(count).asLong());
                    }
                }
                if (scores.has(EvaluateStage.NOTE)) {
                    metrics.put(
                            name + "/" + EvaluateStage.NOTE,
                            scores.get(EvaluateStage.NOTE).asString());
                }
                for (String measure : MEASURES) {
                    if (scores.has(measure)) {
                        metrics.put(name + "/" + measure, scores.get(measure).asDouble());
                    }
                }
                losses.put(variant, scores.get("loss").asDouble());
            }
            metrics.putAll(LossDifferences.metrics(run, perplexity, losses));
        }
        for (String task : experiment.evaluation().taskNames()) {
            metrics.putAll(TaskScores.metrics(run, task, experiment.variants()));
        }
        JsonNode quantize = JsonFiles.read(run.resolve(QuantizeStage.NAME).resolve("metrics.json"));
        quantize.properties()
                .forEach(entry -> metrics.put(entry.getKey(), entry.getValue().asDouble()));
        return metrics;
    }

    /**
     * Writes {@code metrics.json} and, in the harness's layouts, {@code evaluate/results.json} and, where asked for,
     * {@code evaluate/harness_results.json}.
     */
    public static void writeResults(Experiment experiment, Path run, Manifest manifest) throws IOException {
        Map<String, Object> metrics = metrics(experiment, run);
        JsonFiles.write(run.resolve(METRICS), metrics);
        if (experiment.evaluation().perplexities().isEmpty()
                && experiment.evaluation().tasks().isEmpty()) {
            return;
        }
        ObjectNode content = TaskScores.harness(experiment, run, manifest);
        ObjectNode results = content.withObject("/results");
        for (PerplexitySettings perplexity : experiment.evaluation().perplexities()) {
            results.putObject(perplexity.name())
                    .put("alias", perplexity.name())
                    .putPOJO("token_perplexity,none", metrics.get("perplexity/" + perplexity.name()))
                    .put("token_perplexity_stderr,none", "N/A");
        }
        Path folder = run.resolve(EvaluateStage.NAME);
        JsonFiles.write(folder.resolve(TasksStage.RESULTS), content);
        if (experiment.evaluation().tasks().map(TasksSettings::lqerJson).orElse(false)) {
            JsonFiles.write(
                    folder.resolve(TasksStage.LQER_RESULTS),
                    TaskScores.merged(experiment, run, TasksStage.LQER_RESULTS));
        }
    }
}
