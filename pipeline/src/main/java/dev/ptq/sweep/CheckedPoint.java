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
 * @param replaces whether another run has its name, which has to be moved first
 * @param stages of its plan
 * @param files that it reads, by what they are
 */
public record CheckedPoint(
        Point point,
        String fingerprint,
        Optional<Run> complete,
        boolean replaces,
        List<PlannedStage> stages,
        Map<String, List<Path>> files) {
    public CheckedPoint {
        stages = List.copyOf(stages);
    }

    /** The same point, whose run is somewhere else. */
    CheckedPoint notDone() {
        return new CheckedPoint(point, fingerprint, Optional.empty(), replaces, stages, files);
    }
}
