package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.evaluate.ModelScorer;
import dev.ptq.evaluate.task.TaskResults;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.method.Method;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.run.Stage;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Scores one variant of the model on one task or group: {@code metrics.json}, {@code results.json} in the harness's
 * layout, and a line for each document in {@code samples_TASK.jsonl}.
 */
final class TasksStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(TasksStage.class);

    private final Workspace workspace;
    private final Variant variant;
    private final String task;
    private final TasksSettings tasks;
    private final VariantSettings variantSettings;
    private final Settings settings;

    /**
     * The settings that decide the scores.
     *
     * @param tasks without the folder of their data
     * @param definitions digests of the definitions of tasks
     * @param data digests of the files
     */
    private record Settings(
            Workspace.ModelContent model,
            Workspace.TokenizerContent tokenizer,
            QuantizationSettings quantization,
            List<Method> steps,
            TasksSettings tasks,
            List<String> definitions,
            List<String> data) {}

    TasksStage(Workspace workspace, Variant variant, String task, TasksSettings all) throws IOException {
        this.workspace = workspace;
        this.variant = variant;
        this.task = task;
        this.tasks = all.with(task, all.data());
        Workspace.TaskContent content = workspace.content(tasks);
        this.variantSettings = VariantSettings.of(workspace, variant);
        this.settings = new Settings(
                variantSettings.model(),
                workspace.tokenizerContent(),
                variantSettings.quantization(),
                variantSettings.steps(),
                tasks.with(task, ""),
                content.definitions(),
                content.data());
    }

    @Override
    public String name() {
        return RunFiles.task(variant, task);
    }

    @Override
    public List<String> inputs() {
        return variantSettings.inputs();
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 3;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        TaskResults results = variantSettings.run(
                workspace,
                inputs,
                runner -> workspace
                        .tasks(tasks)
                        .run(
                                new ModelScorer(
                                        variantSettings.exact(workspace, inputs),
                                        runner,
                                        tasks.batchSize(),
                                        true,
                                        workspace.unfinished(unfinished),
                                        workspace.reporter()),
                                unfinished));
        JsonFiles.write(output.resolve(RunFiles.METRICS), results.metrics());
        ObjectNode none = JsonMapper.shared().createObjectNode();
        JsonFiles.write(output.resolve(RunFiles.RESULTS), results.harness(none, none));
        if (tasks.lqerJson()) {
            JsonFiles.write(
                    output.resolve(RunFiles.HARNESS_RESULTS),
                    results.lqer(workspace.experiment().model().name()));
        }
        try (DirectoryStream<Path> samples = Files.newDirectoryStream(unfinished, RunFiles.samplesPattern())) {
            for (Path file : samples) {
                Files.copy(file, output.resolve(file.getFileName()));
            }
        }
        log.info("{}: {}", name(), results.headline());
    }
}
