package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.task.TasksSettings;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The evaluations of an experiment, {@code [evaluation]}.
 *
 * @param baselines other variants of the model to be measured too
 * @param perturbations further evaluations of each text with one norm changed by next to nothing
 */
public record EvaluationSettings(
        List<Variant> baselines,
        int perturbations,
        List<PerplexitySettings> perplexities,
        Optional<TasksSettings> tasks) {
    private static final Key<List<Variant>> BASELINES = Key.choices(
                    "baselines",
                    Choices.of(Variant.FULL_PRECISION.label(), Variant.FULL_PRECISION, "the model as it is")
                            .and(
                                    Variant.ROUND_TO_NEAREST.label(),
                                    Variant.ROUND_TO_NEAREST,
                                    "the number formats without any approximation step"))
            .preset(List.of(Variant.FULL_PRECISION, Variant.ROUND_TO_NEAREST))
            .says("variants that are measured too and shown beside the result, with the share of the loss recovered");

    static final Key<Integer> PERTURBATIONS = Key.integer("perturbations")
            .from(0)
            .to(100)
            .preset(0)
            .says(
                    "further evaluations of each text with the first norm's weight scaled by 1 + 1e-6, 1 - 1e-6, 1 + 2e-6 and"
                            + " so on; how far the loss moves is its numerical spread, below which differences mean nothing");

    /** {@code [evaluation.tasks]}. */
    public static final Key<Optional<ConfigTable>> TASKS =
            Key.table("tasks", TasksSettings.SECTION).optional("none").says("questions that are scored");

    /** {@code [[evaluation.perplexity]]}. */
    public static final Key<List<ConfigTable>> PERPLEXITY =
            Key.tables("perplexity", PerplexitySettings.SECTION).says("texts whose perplexity is measured");

    /** The keys of {@code [evaluation]}. */
    static final Section SECTION = Section.of("evaluation", BASELINES, PERTURBATIONS, PERPLEXITY, TASKS);

    /** No evaluations. */
    static EvaluationSettings none() {
        return new EvaluationSettings(List.of(), 0, List.of(), Optional.empty());
    }

    /** The tasks and groups, in order. */
    public List<String> taskNames() {
        return tasks.map(TasksSettings::names).orElse(List.of());
    }

    /** Reads {@code [evaluation]}. */
    static EvaluationSettings read(ConfigTable table) {
        List<Variant> baselines = table.read(BASELINES);
        Optional<TasksSettings> tasks = table.read(TASKS).map(TasksSettings::read);
        List<PerplexitySettings> perplexities = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (ConfigTable perplexity : table.read(PERPLEXITY)) {
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
        return new EvaluationSettings(baselines, table.read(PERTURBATIONS), perplexities, tasks);
    }
}
