package dev.ptq.run;

import java.util.List;
import java.util.Optional;

/**
 * A stage of a plan, without what it takes to run it.
 *
 * @param inputs names of the stages that it reads
 * @param made whether it is finished, so that it would not be executed
 * @param parts of a {@link PartedStage}
 */
public record PlannedStage(String name, String fingerprint, List<String> inputs, boolean made, Optional<Parts> parts) {
    /**
     * The parts of a stage.
     *
     * @param order why they must be done one after the other, if they must
     */
    public record Parts(int count, Optional<String> order) {}

    static PlannedStage of(Stage stage, String fingerprint, boolean made) {
        Optional<Parts> parts = stage instanceof PartedStage parted
                ? Optional.of(new Parts(parted.parts(), parted.order()))
                : Optional.empty();
        return new PlannedStage(stage.name(), fingerprint, List.copyOf(stage.inputs()), made, parts);
    }
}
