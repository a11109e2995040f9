package dev.ptq.sweep;

import dev.ptq.run.PlannedStage;
import java.util.List;

/**
 * A run that another process will do.
 *
 * @param set {@code key=value} for the config
 * @param fingerprint of the plan
 * @param stages of the plan
 */
public record PlannedRun(String tag, List<String> set, String fingerprint, List<PlannedStage> stages) {
    public PlannedRun {
        set = List.copyOf(set);
        stages = List.copyOf(stages);
    }
}
