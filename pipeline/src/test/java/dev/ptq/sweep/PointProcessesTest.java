package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.sweep.PointRunner.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Processes that are no program of ours. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PointProcessesTest {
    @TempDir
    Path folder;

    /** Runs a point as a shell script, which has the arguments of the point's run. */
    private Outcome run(String script) throws IOException, InterruptedException {
        Path file = Files.writeString(folder.resolve("s.toml"), "points.p = { a = 'x y', 'b.c' = [1, 2] }");
        Sweep sweep = Sweep.read(file, Path.of("base.toml"), List.of("d=4"), folder.resolve("results"), "t");
        try (PointProcesses processes = new PointProcesses(
                sweep, List.of("sh", "-c", script.replace("DIR", folder.toString()), "sh"), Map.of("WORD", "given"))) {
            return processes.run(
                    new CheckedPoint(sweep.points().get(0), "f", Optional.empty(), false, List.of(), Map.of()));
        }
    }

    private String error(String script) throws IOException, InterruptedException {
        return run(script).error().orElse("none");
    }

    @Test
    void aPointIsTheCommandThatRunsItAlone() throws Exception {
        run("for each in \"$@\" $WORD; do echo \"$each\" >> DIR/arguments; done");

        assertThat(Files.readAllLines(folder.resolve("arguments")))
                .containsExactly(
                        "run",
                        "base.toml",
                        "t/p",
                        "--results",
                        folder + "/results",
                        "--set",
                        "d=4",
                        "--set",
                        "a=\"x y\"",
                        "--set",
                        "b.c=[1, 2]",
                        "given");
    }

    @Test
    void theReasonOfAFailureIsWhatTheProgramSaidLast() throws Exception {
        assertThat(error("echo started >&2; echo ptq: x.safetensors: no such file >&2; exit 1"))
                .isEqualTo("x.safetensors: no such file");
        assertThat(error("echo t.txt: too short >&2; exit 2")).isEqualTo("t.txt: too short");
        assertThat(error("printf 'java.lang.Error: x\\n\\tat a.b(C.java)\\n\\n' >&2; exit 1"))
                .isEqualTo("java.lang.Error: x");
        assertThat(error("exit 1")).isEqualTo("ended with code 1");
    }

    @Test
    void aCrashIsAFailureToo() throws Exception {
        assertThat(error("kill -9 $$")).isEqualTo("ended with code 137, killed, maybe for want of memory");
        assertThat(error("echo half done >&2; kill -ABRT $$"))
                .isEqualTo("ended with code 134; it last said: half done");
    }

    @Test
    void aRunThatIsNotThereAfterwardsIsAFailure() throws Exception {
        assertThat(error("exit 0")).startsWith("is another experiment than was checked");
    }

    @Test
    void aPointDoesNotOutliveTheProgram() throws Exception {
        Path file = Files.writeString(folder.resolve("s.toml"), "points.p = {}");
        Sweep sweep = Sweep.read(file, Path.of("base.toml"), List.of(), folder.resolve("results"), "t");
        Path pid = folder.resolve("pid");
        String script = "echo $$ > " + pid + "; exec sleep 50";
        FutureTask<Outcome> outcome;
        try (PointProcesses processes = new PointProcesses(sweep, List.of("sh", "-c", script, "sh"), Map.of())) {
            CheckedPoint point =
                    new CheckedPoint(sweep.points().get(0), "f", Optional.empty(), false, List.of(), Map.of());
            outcome = new FutureTask<>(() -> processes.run(point));
            new Thread(outcome).start();
            while (!Files.exists(pid) || Files.size(pid) == 0) {
                Thread.sleep(20);
            }
        }

        assertThatThrownBy(outcome::get).hasCauseInstanceOf(InterruptedException.class);
        assertThat(ProcessHandle.of(Long.parseLong(Files.readString(pid).strip()))
                        .filter(ProcessHandle::isAlive))
                .isEmpty();
    }

    /** From the keyboard an interrupt reaches both; the point's process may be gone first. */
    @Test
    void aPointThatIsEndedTogetherWithTheProgramIsNoFailure() throws Exception {
        Path file = Files.writeString(folder.resolve("s.toml"), "points.p = {}");
        Sweep sweep = Sweep.read(file, Path.of("base.toml"), List.of(), folder.resolve("results"), "t");
        CheckedPoint point = new CheckedPoint(sweep.points().get(0), "f", Optional.empty(), false, List.of(), Map.of());
        Path gone = folder.resolve("gone");
        for (String signal : endingSignals()) {
            Files.deleteIfExists(gone);
            String script = "touch " + gone + "; kill -" + signal + " $$";
            FutureTask<Outcome> outcome;
            try (PointProcesses processes = new PointProcesses(sweep, List.of("sh", "-c", script, "sh"), Map.of())) {
                outcome = new FutureTask<>(() -> processes.run(point));
                new Thread(outcome).start();
                while (!Files.exists(gone)) {
                    Thread.sleep(20);
                }
                Thread.sleep(100);
            }
            assertThatThrownBy(outcome::get).hasCauseInstanceOf(InterruptedException.class);
        }
    }

    /** A shell that starts tests in the background has them, and all they start, ignore interrupts. */
    private static List<String> endingSignals() throws Exception {
        boolean ignored = new ProcessBuilder("sh", "-c", "kill -INT $$").start().waitFor() == 0;
        return ignored ? List.of("TERM") : List.of("INT", "TERM");
    }

    @Test
    void aPointThatIsEndedAloneIsAFailure() throws Exception {
        for (String signal : endingSignals()) {
            assertThat(error("kill -" + signal + " $$"))
                    .isEqualTo("ended with code " + (signal.equals("INT") ? 130 : 143));
        }
    }

    @Test
    void aProgramThatCannotBeStartedIsAFailure() throws Exception {
        Path file = Files.writeString(folder.resolve("s.toml"), "points.p = {}");
        Sweep sweep = Sweep.read(file, Path.of("base.toml"), List.of(), folder.resolve("results"), "t");
        try (PointProcesses processes =
                new PointProcesses(sweep, List.of(folder.resolve("absent").toString()), Map.of())) {
            assertThat(processes
                            .run(new CheckedPoint(
                                    sweep.points().get(0), "f", Optional.empty(), false, List.of(), Map.of()))
                            .error()
                            .orElseThrow())
                    .contains("absent");
        }
    }
}
