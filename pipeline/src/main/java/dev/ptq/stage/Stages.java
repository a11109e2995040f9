package dev.ptq.stage;

import dev.ptq.artifact.Variant;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.run.Stage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Builds the stages of an experiment. */
public final class Stages {
    private Stages() {}

    /**
     * The stages that score the errors of candidates, linear by linear, on the samples of the workspace's experiment.
     *
     * @param truth whether each weight is also rounded alone, as the first candidate does
     */
    public static List<Stage> ofSensitivity(Workspace workspace, List<Candidate> candidates, boolean truth)
            throws IOException {
        Experiment experiment = workspace.experiment();
        CalibrationSettings calibration = experiment.calibration().orElseThrow();
        List<Stage> stages = new ArrayList<>();
        stages.add(new CalibrateStage(workspace, calibration, experiment.statistics(candidates)));
        stages.add(new SensitivityStage(workspace, calibration, candidates));
        if (truth) {
            stages.add(new TruthStage(workspace, calibration, candidates.get(0)));
        }
        return stages;
    }

    /** The stages, in order; calibration only where a step needs it. */
    public static List<Stage> of(Workspace workspace) throws IOException {
        Experiment experiment = workspace.experiment();
        List<Stage> stages = new ArrayList<>();
        if (experiment.steps().rotationLearning().isPresent()) {
            stages.add(new RotateStage(workspace, experiment.calibration().orElseThrow()));
        }
        if (experiment.calibration().isPresent() && !experiment.statistics().isEmpty()) {
            stages.add(new CalibrateStage(workspace, experiment.calibration().get()));
        }
        if (!experiment.steps().isEmpty()) {
            stages.add(new ApproximateStage(workspace));
        }
        stages.add(new QuantizeStage(workspace));
        stages.add(new CostStage(workspace));
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
        return stages;
    }
}
