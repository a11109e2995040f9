package dev.ptq.slurm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TaskStateTest {
    private static TaskState state(String word) {
        return new TaskState(word, "None");
    }

    @Test
    void saysWhatATaskIsDoing() {
        assertThat(List.of("PENDING", "CONFIGURING", "REQUEUED", "SPECIAL_EXIT"))
                .allMatch(word -> state(word).queued() && !state(word).ended());
        assertThat(List.of("RUNNING", "COMPLETING", "SIGNALING", "SUSPENDED", "STOPPED"))
                .allMatch(word -> state(word).running() && !state(word).ended());
        assertThat(List.of(
                        "COMPLETED",
                        "FAILED",
                        "TIMEOUT",
                        "CANCELLED",
                        "OUT_OF_MEMORY",
                        "NODE_FAIL",
                        "BOOT_FAIL",
                        "DEADLINE",
                        "PREEMPTED",
                        "SOMETHING_NEW"))
                .allMatch(word -> state(word).ended());
        assertThat(state("CANCELLED").cancelled()).isTrue();
    }

    /** Without the switch it would be pending for ever. */
    @Test
    void aTaskWhoseDependencyFailedHasEnded() {
        for (String word : List.of("PENDING", "CANCELLED")) {
            TaskState state = new TaskState(word, "DependencyNeverSatisfied");
            assertThat(state.ended()).isTrue();
            assertThat(state.dependencyFailed()).isTrue();
            assertThat(state.cancelled()).isFalse();
        }
    }

    @Test
    void saysWhyATaskFailed() {
        Optional<ExitCode> killed = Optional.of(new ExitCode(0, 9, 0));
        Optional<ExitCode> failed = Optional.of(new ExitCode(2, 0, 3));

        assertThat(state("FAILED").failure(failed, "t.txt: too short")).isEqualTo("t.txt: too short");
        assertThat(state("FAILED").failure(failed, "")).isEqualTo("ended with code 2");
        assertThat(state("FAILED").failure(Optional.empty(), "")).isEqualTo("ended with code unknown");
        assertThat(state("FAILED").failure(killed, "half done"))
                .isEqualTo("ended by signal 9, maybe for want of memory: see mem; it last said: half done");
        assertThat(state("OUT_OF_MEMORY").failure(killed, "")).isEqualTo("killed for want of memory: see mem");
        assertThat(state("TIMEOUT").failure(failed, "block 3"))
                .isEqualTo(
                        "reached its time limit after 3 requeues; the same command goes on from what is saved; it last"
                                + " said: block 3");
        assertThat(new TaskState("NODE_FAIL", "NodeDown").failure(failed, ""))
                .isEqualTo("ended by Slurm: NODE_FAIL, NodeDown");
        assertThat(state("PREEMPTED").failure(failed, "")).isEqualTo("ended by Slurm: PREEMPTED");
        assertThat(state("COMPLETED").failure(failed, "")).isEqualTo("ended without a result");
    }

    @Test
    void readsLinesOfSqueueAndScontrol() {
        assertThat(Slurm.parse("""
                811|0|RUNNING|None
                811|1|PENDING|JobArrayTaskLimit
                812|0|CANCELLED|DependencyNeverSatisfied
                slurm_load_jobs: some remark
                813|N/A|CANCELLED|None
                """))
                .hasSize(4)
                .containsEntry("811_1", new TaskState("PENDING", "JobArrayTaskLimit"))
                .containsEntry("812_0", new TaskState("CANCELLED", "DependencyNeverSatisfied"));
        Map<String, TaskState> states = Slurm.parse("813|2|RUNNING|None\n813|N/A|CANCELLED|None\n");
        assertThat(Slurm.of("813_2", states)).contains(state("RUNNING"));
        assertThat(Slurm.of("813_4", states)).contains(state("CANCELLED"));
        assertThat(Slurm.of("814_4", states)).isEmpty();
        assertThat(ExitCode.parse("JobId=812 Requeue=1 Restarts=3 BatchFlag=1 ExitCode=0:9 RunTime=00:00:01"))
                .contains(new ExitCode(0, 9, 3));
        assertThat(ExitCode.parse("slurm_load_jobs error")).isEmpty();
    }
}
