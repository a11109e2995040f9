package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.config.ConfigTable;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.task.TasksSettings;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What is measured, {@code [evaluation]}.
 *
 * @param baselines other variants of the model that are measured too
 */
public record EvaluationSettings(
        List<Variant> baselines, List<PerplexitySettings> perplexities, Optional<TasksSettings> tasks) {
    private static final List<Variant> BASELINES = List.of(Variant.FULL_PRECISION, Variant.ROUND_TO_NEAREST);

    /** Nothing is measured. */
    static EvaluationSettings none() {
        return new EvaluationSettings(List.of(), List.of(), Optional.empty());
    }

    /** The tasks and groups, in order. */
    public List<String> taskNames() {
        return tasks.map(TasksSettings::names).orElse(List.of());
    }

    /** Reads {@code [evaluation]}. */
    static EvaluationSettings read(ConfigTable table) {
        List<Variant> baselines = table.choices(
                "baselines",
                BASELINES.stream().collect(Collectors.toMap(Variant::label, variant -> variant)),
                BASELINES.stream().map(Variant::label).toList());
        Optional<TasksSettings> tasks = table.table("tasks").map(TasksSettings::read);
        List<PerplexitySettings> perplexities = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (ConfigTable perplexity : table.tables("perplexity")) {
            PerplexitySettings settings = PerplexitySettings.read(perplexity);
            if (!names.add(settings.name())) {
                perplexity.problem(
                        "name", "\"" + settings.name() + "\" names an earlier text too; give each a name of its own");
            } else if (tasks.isPresent()
                    && (settings.name().equals(RunFiles.TASKS) || tasks.get().includes(settings.name()))) {
                perplexity.problem(
                        "name", "\"" + settings.name() + "\" is a name in the results of tasks; give the text another");
            }
            perplexities.add(settings);
        }
        return new EvaluationSettings(baselines, perplexities, tasks);
    }
}
