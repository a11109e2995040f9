package dev.ptq.slurm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Commands that answer in every way. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SlurmTest {
    @TempDir
    Path folder;

    private Slurm slurm(String name, String script) throws IOException {
        Path file = Files.writeString(folder.resolve(name), "#!/bin/sh\n" + script + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
        return new Slurm(Optional.of(folder), Duration.ofMillis(1500));
    }

    @Test
    void theIdOfAJobMayComeWithItsCluster() throws IOException {
        assertThat(slurm("sbatch", "echo '811;big'").submit(Path.of("x.sh"))).isEqualTo("811");
        assertThatThrownBy(() -> slurm("sbatch", "echo Submitted batch job").submit(Path.of("x.sh")))
                .hasMessage("sbatch: expected the id of a job, got \"Submitted batch job\"");
    }

    @Test
    void aRefusalIsWhatTheCommandSaid() {
        assertThatThrownBy(
                        () -> slurm("sbatch", "echo 'sbatch: error: invalid partition' >&2; echo 'so no' >&2; exit 1")
                                .submit(Path.of("x.sh")))
                .isInstanceOf(Slurm.CommandException.class)
                .hasMessage("sbatch: sbatch: error: invalid partition; so no");
    }

    /** One forgotten job is an error, several are not. */
    @Test
    void forgottenJobsHaveNoStatesAndASilentControllerIsAnError() throws IOException {
        assertThat(slurm("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
                        .states(List.of("1")))
                .isEmpty();
        assertThat(slurm("squeue", "exit 0").states(List.of("1", "2"))).isEmpty();
        assertThatThrownBy(() -> slurm("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
                        .states(List.of("1")))
                .hasMessage("squeue: Unable to contact slurm controller");
    }

    @Test
    void aCommandThatHangsOrIsNotThereIsAnError() throws IOException {
        assertThatThrownBy(() -> slurm("squeue", "sleep 30").states(List.of("1")))
                .hasMessage("squeue: no answer after 1 s");
        assertThatThrownBy(() -> slurm("other", "").cancel(List.of("1"), false))
                .hasMessageStartingWith("scancel: cannot be started")
                .hasMessageContaining("part of a Slurm cluster");
    }

    @Test
    void limitsAreThoseOfTheConfigOrTheUsualOnes() throws IOException {
        assertThat(slurm("scontrol", "echo 'MaxArraySize            = 10'; echo 'MinJobAge               = 60 sec'")
                        .limits())
                .isEqualTo(new Slurm.Limits(10, Duration.ofSeconds(60)));
        assertThat(slurm("scontrol", "echo").limits()).isEqualTo(new Slurm.Limits(1001, Duration.ofMinutes(5)));
    }
}
