package dev.ptq.slurm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisabledOnOs(OS.WINDOWS)
class SlurmScriptTest {
    private static SlurmScript script(int first, Path logs) {
        return new SlurmScript(
                "ptq:ranks:points",
                "points",
                first,
                9,
                List.of("811", "812"),
                OptionalInt.of(32),
                List.of("/r/launch/1/ptq", "launched", "/r/launch/1/tasks.json", "points"),
                logs,
                Path.of("/data/my dir"));
    }

    /** Slurm's 0 is all memory of a node, which the program finds by itself. */
    @ParameterizedTest
    @CsvSource({"0, false", "0G, false", "010G, true", "2048, true"})
    void theMemoryOfATaskIsWhatItsProgramCountsOn(String mem, boolean told) {
        String text = script(0, Path.of("/r")).text(SlurmSettings.parse("[slurm]\nmem = \"" + mem + "\"\n", "l.toml"));

        assertThat(text).contains("#SBATCH --mem=" + mem + "\n");
        assertThat(text.contains("export PTQ_MEMORY=" + mem + "\n")).isEqualTo(told);
        assertThat(text.contains("PTQ_MEMORY")).isEqualTo(told);
    }

    @Test
    void isAnArrayThatWaitsForOthersAndGoesOnAfterItsTimeLimit() {
        SlurmSettings settings = SlurmSettings.parse("""
                [slurm]
                partition = "cpu"
                time = "4:00:00"
                cpus = 8
                mem = "32G"
                additional = ["--mail-type=FAIL"]
                setup = ["module load java/17"]
                requeues = 2
                """, "l.toml");

        assertThat(script(0, Path.of("/r/launch/1")).text(settings)).isEqualTo("""
                #!/bin/bash
                #SBATCH --job-name=ptq:ranks:points
                #SBATCH --array=0-8%32
                #SBATCH --dependency=afterok:811:812
                #SBATCH --kill-on-invalid-dep=yes
                #SBATCH --output=/r/launch/1/points-%a.log
                #SBATCH --open-mode=append
                #SBATCH --requeue
                #SBATCH --signal=B:USR1@120
                #SBATCH --chdir='/data/my dir'
                #SBATCH --cpus-per-task=8
                #SBATCH --partition=cpu
                #SBATCH --time=4:00:00
                #SBATCH --mem=32G
                #SBATCH --mail-type=FAIL
                module load java/17
                export PTQ_THREADS=8
                export PTQ_MEMORY=32G
                trap '[ "${SLURM_RESTART_COUNT:-0}" -lt 2 ] && scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"' USR1
                /r/launch/1/ptq launched /r/launch/1/tasks.json points "$((0 + SLURM_ARRAY_TASK_ID))" &
                child=$!
                wait "$child"
                while kill -0 "$child" 2>/dev/null; do wait "$child"; done
                wait "$child"
                exit $?
                """);
    }

    @Test
    void aLaterPartOfALongArrayCountsOn() {
        SlurmSettings settings = SlurmSettings.parse("", "l.toml");
        SlurmScript script = script(1000, Path.of("/r/50%/1"));

        assertThat(script.text(settings))
                .contains("points \"$((1000 + SLURM_ARRAY_TASK_ID))\" &\n")
                .contains("--output=/r/50%%/1/points-1000+%a.log\n");
        assertThat(script.log(1003)).isEqualTo(Path.of("/r/50%/1/points-1000+3.log"));
    }

    /** A signal that is caught ends the wait, not the child, whose code comes out. */
    @Test
    void endsWithTheCodeOfItsProgramThoughASignalComesBetween() throws Exception {
        String text = script(0, Path.of("/r"))
                .text(SlurmSettings.parse("", "l.toml"))
                .replaceFirst("(?m)^/r/launch.*&$", "(sleep 0.3; exit 7) &")
                .replace("child=$!", "child=$!; (sleep 0.1; kill -USR1 $$) &")
                .replaceFirst("(?m)^trap .*USR1$", "trap 'echo caught' USR1");
        Process process = new ProcessBuilder("bash", "-c", text).start();

        assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .isEqualTo("caught\n");
        assertThat(process.waitFor()).isEqualTo(7);
    }
}
