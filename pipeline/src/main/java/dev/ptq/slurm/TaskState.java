package dev.ptq.slurm;

import java.util.Optional;
import java.util.Set;

/**
 * What {@code squeue} says of a task.
 *
 * @param state Slurm's word, such as {@code PENDING}
 * @param reason why it waits or how it ended; may be empty
 */
public record TaskState(String state, String reason) {
    /** The reason of a task that is cancelled, or waits for ever, because of one that it depends on. */
    private static final String NEVER = "DependencyNeverSatisfied";

    private static final Set<String> QUEUED = Set.of(
            "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD");
    private static final Set<String> RUNNING =
            Set.of("RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING", "REVOKED");

    /** Returns whether the task is still to start, or to start again. */
    public boolean queued() {
        return QUEUED.contains(state) && !dependencyFailed();
    }

    /** Returns whether the task is at work. */
    public boolean running() {
        return RUNNING.contains(state);
    }

    /** Returns whether the task will do nothing more. */
    public boolean ended() {
        return !queued() && !running();
    }

    /** Returns whether somebody cancelled it, and not Slurm for a dependency. */
    public boolean cancelled() {
        return state.equals("CANCELLED") && !dependencyFailed();
    }

    /** Returns whether it never runs since a task that it depends on did not succeed. */
    public boolean dependencyFailed() {
        return reason.equals(NEVER);
    }

    /** Returns whether the task itself claims success. */
    public boolean completed() {
        return state.equals("COMPLETED");
    }

    /**
     * Returns why a task that ended without a result failed.
     *
     * @param exit how it ended, if that is known
     * @param last what its log last said; may be empty
     */
    public String failure(Optional<ExitCode> exit, String last) {
        String said = last.isEmpty() ? "" : "; it last said: " + last;
        return switch (state) {
            case "FAILED" ->
                exit.isPresent() && exit.get().signal() > 0
                        ? "ended by signal " + exit.get().signal() + ", maybe for want of memory: see mem" + said
                        : last.isEmpty()
                                ? "ended with code "
                                        + exit.map(code -> String.valueOf(code.code()))
                                                .orElse("unknown")
                                : last;
            case "OUT_OF_MEMORY" -> "killed for want of memory: see mem" + said;
            case "TIMEOUT" ->
                "reached its time limit"
                        + exit.map(code -> " after " + code.restarts() + " requeues")
                                .orElse("") + "; the same command goes on from what is saved" + said;
            case "COMPLETED" -> "ended without a result" + said;
            default ->
                "ended by Slurm: " + state + (reason.isEmpty() || reason.equals("None") ? "" : ", " + reason) + said;
        };
    }
}
