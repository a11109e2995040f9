package dev.ptq.experiment;

import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.run.Plan;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Stages;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** An experiment as a plan of stages, and what there is to say of it before it runs. */
public final class ExperimentPlan {
    private ExperimentPlan() {}

    /** The stages of an experiment with their fingerprints. */
    public static Plan of(Workspace workspace) throws IOException {
        return new Plan(Stages.of(workspace));
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
}
