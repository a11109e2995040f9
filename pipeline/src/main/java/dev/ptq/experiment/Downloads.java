package dev.ptq.experiment;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.ConfigTable;
import dev.ptq.data.DatasetSplit;
import dev.ptq.data.DatasetText;
import dev.ptq.data.Split;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.hub.Hub;
import dev.ptq.stage.EvaluationSettings;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.ExperimentKeys;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** Fetches the files an experiment names that the hub's cache lacks; reading an experiment opens no connection. */
public record Downloads(Hub hub) {
    /** Fetches for an experiment; problems with the file are left to {@link Experiment#read}. */
    public void fetch(ConfigFiles files, List<String> overrides, List<Assignment> assignments) throws IOException {
        ConfigTable root = ConfigTable.read(files, overrides, assignments, ExperimentKeys.SECTION);
        if (root.has(ExperimentKeys.MODEL)) {
            ConfigTable model = root.read(ExperimentKeys.MODEL);
            ModelFolder.fetchIfAbsent(model.read(ExperimentKeys.PATH), model.read(ExperimentKeys.FILE), hub);
        }
        Optional<ConfigTable> calibration = root.read(ExperimentKeys.CALIBRATION);
        if (calibration.isPresent()) {
            DatasetText.fetchIfAbsent(calibration.get(), Split.TRAIN, hub);
        }
        Optional<ConfigTable> evaluation = root.read(ExperimentKeys.EVALUATION);
        if (evaluation.isPresent()) {
            for (ConfigTable perplexity : evaluation.get().read(EvaluationSettings.PERPLEXITY)) {
                DatasetText.fetchIfAbsent(perplexity, Split.TEST, hub);
            }
            Optional<ConfigTable> tasks = evaluation.get().read(EvaluationSettings.TASKS);
            if (tasks.isPresent() && !TasksSettings.hasFolder(tasks.get())) {
                for (DatasetSplit split : TasksSettings.onHub(tasks.get())) {
                    split.fetchIfAbsent(hub);
                }
            }
        }
    }
}
