package dev.ptq.experiment;

import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.run.Plan;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Stages;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Turns an experiment into a plan of stages, and comments on it before it runs. */
public final class ExperimentPlan {
    private ExperimentPlan() {}

    /** Returns the stages of an experiment with their fingerprints. */
    public static Plan of(Workspace workspace) throws IOException {
        return new Plan(Stages.of(workspace));
    }

    /** Returns the settings of an experiment that have no effect, one line each. */
    public static List<String> unused(Experiment experiment) {
        List<String> unused = new ArrayList<>();
        if (experiment.calibration().isPresent() && !experiment.usesCalibration()) {
            unused.add("[calibration] ignored: no method needs it");
        }
        if (experiment.adaptation().isPresent()
                && experiment.evaluation().perplexities().isEmpty()) {
            unused.add(TestTimeAdaptation.KEY + " ignored: there is no text to adapt to");
        }
        return unused;
    }

    /** Explains a difference in a stage's setting if its key does not. */
    public static String meaning(String setting) {
        return switch (setting) {
            case "model.sha256" -> "the model's files changed, or it is another";
            case "tokenizer.sha256" -> "the tokenizer's files changed, or it is another";
            case "text.sha256" -> "the text changed, or it is another";
            default -> "";
        };
    }
}
