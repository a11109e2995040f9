package dev.ptq.sweep;

import dev.ptq.run.PlannedStage;
import dev.ptq.run.Run;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A point that is ready to run.
 *
 * @param fingerprint in the manifest of its run
 * @param complete its run, if that is already done
 * @param stages of its plan
 * @param files that it reads, by what they are
 */
public record CheckedPoint(
        Point point,
        String fingerprint,
        Optional<Run> complete,
        List<PlannedStage> stages,
        Map<String, List<Path>> files) {
    public CheckedPoint {
        stages = List.copyOf(stages);
    }
}
