package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigFiles;
import dev.ptq.run.PlannedStage;
import dev.ptq.slurm.FakeSlurm;
import dev.ptq.slurm.SlurmSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of runs in a queue, with a Slurm and a program that are shell scripts. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(value = 90, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SlurmLauncherTest {
    /** The program: does what {@code acts/KIND-INDEX} says, or makes a run of its own manifest. */
    private static final String PROGRAM = """
        shift 4
        kind=$2; index=$3
        echo "$kind $index" >> 'DIR/ran'
        if [ -f "DIR/acts/$kind-$index" ]; then . "DIR/acts/$kind-$index"; fi
        case $kind in points*) ;; *) exit 0 ;; esac
        mkdir -p "DIR/results/t/p$index"
        sed "s/INDEX/$index/; s/CPU/${cpu:-one}/" 'DIR/manifest' > "DIR/results/t/p$index/new"
        mv "DIR/results/t/p$index/new" "DIR/results/t/p$index/manifest.json"
        """;

    private static final String MANIFEST = """
        {"fingerprint": "f-INDEX", "program": {"version": "1", "commit": "", "threads": 1, "sources": {}},
         "machine": {"jvm": "", "os": "", "cpu": "CPU", "cores": 1, "memory_bytes": 1},
         "started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:02Z", "stages": {}}
        """;

    @TempDir
    Path folder;

    private FakeSlurm fake;
    private final Map<Integer, String> outcomes = Collections.synchronizedMap(new TreeMap<>());
    private final Map<Integer, String> jobs = Collections.synchronizedMap(new TreeMap<>());

    private final Launcher.Listener listener = new Launcher.Listener() {
        @Override
        public void submitted(int index, String job) {
            jobs.put(index, job);
        }

        @Override
        public void started(int index) {}

        @Override
        public void ended(int index, PointRunner.Outcome outcome) {
            outcomes.put(index, outcome.error().orElse("done " + outcome.seconds()));
        }
    };

    @BeforeEach
    void prepare() throws IOException {
        fake = FakeSlurm.in(Files.createDirectories(folder.resolve("slurm")));
        Files.createDirectories(folder.resolve("acts"));
        Files.writeString(folder.resolve("program"), PROGRAM.replace("DIR", folder.toString()));
        Files.writeString(folder.resolve("manifest"), MANIFEST);
    }

    @AfterEach
    void end() throws IOException {
        fake.end();
    }

    private void act(String task, String script) throws IOException {
        Files.writeString(folder.resolve("acts").resolve(task), script.replace("DIR", folder.toString()));
    }

    private static List<PlannedRun> runs(int count) {
        PlannedStage calibrate = new PlannedStage("calibrate", "c", List.of(), false, Optional.empty());
        return IntStream.range(0, count)
                .mapToObj(i -> new PlannedRun("t/p" + i, List.of(), "f-" + i, List.of(calibrate)))
                .toList();
    }

    private SlurmLauncher launcher() {
        Program program = new Program(List.of("sh", folder.resolve("program").toString()), List.of(), "Main");
        Launch launch = new Launch(
                folder.resolve("results"),
                "t",
                true,
                new ConfigFiles(List.of(new ConfigFiles.Content(Path.of("c.toml"), "seed = 1"))),
                folder,
                program,
                Map.of(),
                1);
        SlurmSettings settings =
                SlurmSettings.parse("[slurm]\nnode_local = []\npoll_seconds = 1\nsettle_seconds = 1\n", "l.toml");
        return new SlurmLauncher(launch, settings, fake.slurm(), OptionalInt.of(4));
    }

    private boolean run(int count, boolean failFast, boolean detach) throws IOException {
        return launcher().run(runs(count), failFast, detach, listener);
    }

    private List<String> ran() throws IOException {
        return Files.readAllLines(folder.resolve("ran"));
    }

    @Test
    void sharedStagesComeFirstAndPointsAreDoneWhenTheirRunsAre() throws IOException {
        assertThat(run(3, false, false)).isTrue();

        assertThat(ran()).containsExactly("shared 0", "points 0", "points 1", "points 2");
        assertThat(outcomes).containsOnly(Map.entry(0, "done 2.0"), Map.entry(1, "done 2.0"), Map.entry(2, "done 2.0"));
        assertThat(jobs).containsEntry(2, "101_2");
        assertThat(fake.script("101")).contains("--array=0-2%4", "--dependency=afterok:100", "kill-on-invalid-dep=yes");
        assertThat(folder.resolve("results/t/launch/1/jobs.json")).exists();
    }

    @Test
    void aFailureIsWhatTheTaskSaidLastAndEndsNoOther() throws IOException {
        act("points-0", "echo 'ptq: x.safetensors: no such file' >&2; exit 1");
        act("points-1", "kill -9 $$");
        act("points-2", "exit 0");
        fake.endAs(3, "TIMEOUT");
        act("points-3", "echo block 3; exit 0");
        fake.endAs(4, "OUT_OF_MEMORY");
        act("points-4", "exit 0");

        assertThat(run(6, false, false)).isTrue();

        Path logs = folder.resolve("results/t/launch/1");
        assertThat(outcomes)
                .containsEntry(0, "x.safetensors: no such file (" + logs + "/points-0.log)")
                .containsEntry(5, "done 2.0");
        assertThat(outcomes.get(1)).startsWith("ended by signal 9, maybe for want of memory: see mem");
        assertThat(outcomes.get(2)).startsWith("ended without a result");
        assertThat(outcomes.get(3))
                .startsWith("reached its time limit after 2 requeues")
                .contains("block 3");
        assertThat(outcomes.get(4)).startsWith("killed for want of memory: see mem");

        for (int i = 0; i < 5; i++) {
            Files.deleteIfExists(folder.resolve("acts/points-" + i));
        }
        outcomes.clear();
        fake.set("words/3", false);
        fake.set("words/4", false);
        assertThat(run(6, false, false)).isTrue();
        assertThat(outcomes)
                .hasSize(6)
                .allSatisfy((index, outcome) -> assertThat(outcome).startsWith("done"));
    }

    @Test
    void aFailedSharedStageIsTheReasonOfAllPoints() throws IOException {
        act("shared-0", "echo 'ptq: text.txt: too short' >&2; exit 2");

        assertThat(run(2, false, false)).isTrue();

        assertThat(ran()).containsExactly("shared 0");
        assertThat(outcomes)
                .hasSize(2)
                .allSatisfy(
                        (index, outcome) -> assertThat(outcome).startsWith("calibrate failed: text.txt: too short"));
    }

    @Test
    void aSlurmThatForgetsOrDoesNotAnswerChangesNothing() throws Exception {
        act("points-0", "sleep 0.7");
        act("points-1", "touch DIR/slurm/forget");
        CompletableFuture<Boolean> watched = CompletableFuture.supplyAsync(() -> {
            try {
                return run(2, false, false);
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
        while (jobs.size() < 2) {
            Thread.sleep(20);
        }
        fake.set("down", true);
        Thread.sleep(600);
        assertThat(outcomes).doesNotContainValue("ended without a result");
        fake.set("down", false);

        assertThat(watched.get()).isTrue();
        assertThat(outcomes).containsOnly(Map.entry(0, "done 2.0"), Map.entry(1, "done 2.0"));
    }

    @Test
    void theSameCommandWatchesWhatGoesOnAndThenSubmitsWhatIsMissing() throws Exception {
        fake.set("hold", true);
        assertThat(run(2, false, true)).isFalse();
        assertThat(outcomes).isEmpty();
        assertThat(fake.jobs()).containsExactly("100", "101");

        fake.set("down", true);
        assertThatThrownBy(() -> run(3, false, false))
                .hasMessageContaining("Slurm does not say whether they go on")
                .hasMessageContaining("jobs 100, 101");
        fake.set("down", false);
        fake.set("hold", false);
        // the third point of a longer sweep was not submitted; in the new launch it is the only one
        act("points-0", "if [ -f DIR/results/t/p0/manifest.json ]; then index=2; fi");
        assertThat(run(3, false, false)).isTrue();

        assertThat(outcomes)
                .hasSize(3)
                .allSatisfy((index, outcome) -> assertThat(outcome).startsWith("done"));
        assertThat(fake.jobs()).containsExactly("100", "101", "102");
        assertThat(jobs).containsEntry(1, "101_1").containsEntry(2, "102_0");
    }

    @Test
    void afterAFailureWhatHasNotStartedIsCancelledIfThatIsWanted() throws IOException {
        act("points-0", "exit 1");
        act("points-1", "sleep 2");

        assertThat(run(4, true, false)).isTrue();

        assertThat(outcomes.keySet()).containsExactly(0, 1);
        assertThat(fake.cancelled()).containsExactly("--state=PENDING 101");
        assertThat(ran()).containsExactly("shared 0", "points 0", "points 1");
    }

    @Test
    void cancelledPointsStayAsTheyWere() throws Exception {
        act("points-0", "fake=DIR/slurm; \"$fake/scancel\" 101; exit 1");

        assertThat(run(2, false, false)).isTrue();
        assertThat(outcomes).isEmpty();
    }

    /** As Slurm does with single tasks of an array. */
    @Test
    void aCancelledPointThatSlurmForgetsIsNoFailure() throws Exception {
        act("points-0", "DIR/slurm/scancel --state=PENDING 101; rm DIR/slurm/jobs/101/1.state");

        assertThat(run(2, false, false)).isTrue();
        assertThat(outcomes).containsOnly(Map.entry(0, "done 2.0"));
    }

    @Test
    void aRefusalLeavesNothingInTheQueue() throws IOException {
        fake.refuse("sbatch: error: invalid partition specified: cpu");
        assertThatThrownBy(() -> run(2, false, false))
                .hasMessage("sbatch: sbatch: error: invalid partition specified: cpu");
        assertThat(fake.jobs()).isEmpty();
        assertThat(folder.resolve("results/t/launch/1/jobs.json")).doesNotExist();
    }

    @Test
    void longArraysAreSeveral() throws IOException {
        fake.arraySize(2);
        assertThat(run(5, false, false)).isTrue();

        assertThat(outcomes)
                .hasSize(5)
                .allSatisfy((index, outcome) -> assertThat(outcome).startsWith("done"));
        assertThat(jobs)
                .containsExactly(
                        Map.entry(0, "101_0"),
                        Map.entry(1, "101_1"),
                        Map.entry(2, "102_0"),
                        Map.entry(3, "102_1"),
                        Map.entry(4, "103_0"));
        assertThat(folder.resolve("results/t/launch/1/points-4+0.log")).exists();
    }

    @Test
    void aDryRunShowsScriptsAndWhatSbatchSays() throws IOException {
        List<String> texts = launcher().dryRun(runs(2));

        assertThat(String.join("", texts))
                .contains(
                        "# shared: 1 tasks",
                        "--dependency=afterok:SHARED",
                        "# sbatch --test-only: sbatch: would start");
        fake.refuse("sbatch: error: Memory specification can not be satisfied");
        assertThat(String.join("", launcher().dryRun(runs(2)))).contains("Memory specification can not be satisfied");
        assertThat(folder.resolve("results")).doesNotExist();
        assertThat(fake.jobs()).isEmpty();
    }
}
