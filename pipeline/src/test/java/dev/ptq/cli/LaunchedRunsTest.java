package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.slurm.FakeSlurm;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Runs that are written down as tasks, which any other program may start: here, this test. */
@DisabledOnOs(OS.WINDOWS)
class LaunchedRunsTest {
    private static final String RANKS = "axes.\"approximation.l2qer.rank\" = [2, 4]\n";

    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        tiny.config(TinyExperiment.CONFIG);
        Files.writeString(folder.resolve("s.toml"), RANKS);
    }

    private Outcome sweep(String... options) {
        List<String> arguments =
                new ArrayList<>(List.of("sweep", "DIR/s.toml", "DIR/config.toml", "tag", "--results", "DIR/results"));
        arguments.addAll(List.of(options));
        return tiny.execute(arguments.toArray(String[]::new));
    }

    private Outcome run(String results, String... options) {
        List<String> arguments =
                new ArrayList<>(List.of("run", "DIR/config.toml", "one", "--results", "DIR/" + results));
        arguments.addAll(List.of(options));
        return tiny.execute(arguments.toArray(String[]::new));
    }

    private Outcome launched(String launch, String kind, int index) {
        return tiny.execute("launched", "DIR/results/" + launch + "/tasks.json", kind, String.valueOf(index));
    }

    /** The bytes of the artifacts of a run that are equal however it was made: what it says of times is left out. */
    private static Map<String, byte[]> artifacts(Path run) throws IOException {
        Map<String, byte[]> artifacts = new TreeMap<>();
        try (Stream<Path> files = Files.walk(run)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = run.relativize(file).toString();
                if (name.endsWith(".safetensors") || name.equals("metrics.json") || name.equals("resolved.toml")) {
                    artifacts.put(name, Files.readAllBytes(file));
                }
            }
        }
        return artifacts;
    }

    private void assertEqual(Path run, Path expected) throws IOException {
        Map<String, byte[]> wanted = artifacts(expected);
        Map<String, byte[]> got = artifacts(run);
        assertThat(got.keySet()).isEqualTo(wanted.keySet()).hasSizeGreaterThan(4);
        wanted.forEach((name, bytes) -> assertThat(got.get(name)).as(name).isEqualTo(bytes));
    }

    @Test
    @Tag("slow")
    void tasksMakeTheRunsOfALocalSweep() throws IOException {
        Outcome outcome = sweep("--launcher", "files");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).isEqualTo("""
                point   state   changes
                rank-2  to run  approximation.l2qer.rank=2
                rank-4  to run  approximation.l2qer.rank=4
                2 points, 0 done
                shared: 3 tasks, INDEX from 0 to 2
                points: 2 tasks, INDEX from 0 to 1, after shared
                start: DIR/results/tag/launch/1/ptq launched DIR/results/tag/launch/1/tasks.json KIND INDEX
                """);

        assertOtherInputsAreRefused();
        Files.writeString(folder.resolve("config.toml"), "edited"); // no task reads it any more
        for (int i = 0; i < 3; i++) {
            assertThat(launched("tag/launch/1", "shared", i)).isEqualTo(new Outcome(0, "", ""));
        }
        for (int i = 0; i < 2; i++) {
            assertThat(launched("tag/launch/1", "points", i).code()).isZero();
            assertThat(tiny.stages("tag/rank-" + 2 * (i + 1), "reused"))
                    .containsEntry("calibrate", "true")
                    .containsEntry("evaluate/full_precision/tales", "true")
                    .containsEntry("evaluate/round_to_nearest/tales", "true")
                    .containsEntry("approximate", "false");
        }

        tiny.config(TinyExperiment.CONFIG);
        assertThat(sweep("--launcher", "files").out()).contains("already done", "results: DIR/results/tag");
        assertThat(run("alone", "--set", "approximation.l2qer.rank=2").code()).isZero();
        assertEqual(folder.resolve("results/tag/rank-2"), folder.resolve("alone/one"));
        assertBadTasksAreRefused();
    }

    private void assertBadTasksAreRefused() throws IOException {
        assertThat(launched("tag/launch/1", "point", 0).err())
                .isEqualTo(
                        "DIR/results/tag/launch/1/tasks.json: there are no tasks \"point\", there are [shared, points]\n");
        assertThat(launched("tag/launch/1", "points", 2).err())
                .isEqualTo("DIR/results/tag/launch/1/tasks.json: points has tasks 0 to 1, got 2\n");
        assertThat(launched("tag/launch/7", "points", 0).code()).isEqualTo(2);
    }

    private void assertOtherInputsAreRefused() throws IOException {
        Path text = folder.resolve("text.txt");
        String before = Files.readString(text);
        Files.writeString(text, "another text ".repeat(60));
        assertThat(launched("tag/launch/1", "shared", 1))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "tag/rank-2: is another experiment than was submitted: the model, a text or the program changed"
                                + " meanwhile\n"));
        Files.writeString(text, before);
    }

    /** The line of {@code sweeps/README.md}, with this sweep's counts. */
    private static String parallel() throws IOException {
        assumeTrue(
                Stream.of(System.getenv("PATH").split(":"))
                        .anyMatch(place -> Files.isExecutable(Path.of(place, "parallel"))),
                "needs GNU parallel");
        String line = Files.readAllLines(Shared.root().resolve("sweeps/README.md")).stream()
                .filter(each -> each.startsWith("parallel "))
                .findFirst()
                .orElseThrow();
        return line.replace("seq 0 4", "seq 0 2").replace("seq 0 8", "seq 0 1");
    }

    /** Runs a line of a shell in which {@code L} is the folder of the launch; what it prints is in a file. */
    private int shell(String command) throws IOException, InterruptedException {
        return new ProcessBuilder("bash", "-c", "L=" + folder.resolve("results/tag/launch/1") + "; " + command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("shell.log").toFile())
                .start()
                .waitFor();
    }

    @Test
    @Tag("slow")
    void gnuParallelStartsTasks() throws Exception {
        String command = parallel();
        assertThat(sweep("--launcher", "files").code()).isZero();

        assertThat(shell(command)).as(() -> read(folder.resolve("shell.log"))).isZero();
        assertThat(sweep("--launcher", "files").out()).contains("already done");
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** With a stand-in for the program, which writes down what it is given; the program itself is started once. */
    @Test
    void gnuParallelNamesEveryTaskInTheOrderOfTheKinds() throws Exception {
        String command = parallel();
        assertThat(sweep("--launcher", "files").code()).isZero();
        Path launch = folder.resolve("results/tag/launch/1");

        assertThat(shell("$L/ptq launched $L/tasks.json points 2")).isEqualTo(2);
        assertThat(read(folder.resolve("shell.log"))).contains("points has tasks 0 to 1, got 2");
        Path given = folder.resolve("given.txt");
        Files.writeString(launch.resolve("ptq"), "#!/bin/sh\necho \"$@\" >> '" + given + "'\n");
        assertThat(shell(command)).isZero();

        String tasks = "launched " + launch.resolve("tasks.json");
        List<String> lines = Files.readAllLines(given);
        assertThat(lines).hasSize(5);
        assertThat(lines.subList(0, 3))
                .containsExactlyInAnyOrder(tasks + " shared 0", tasks + " shared 1", tasks + " shared 2");
        assertThat(lines.subList(3, 5)).containsExactlyInAnyOrder(tasks + " points 0", tasks + " points 1");
    }

    @Test
    void rangesOfBlocksAreMergedByteForByte() throws IOException {
        Outcome outcome = run("results", "--launcher", "files", "--split-blocks", "2");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out()).isEqualTo("""
                shared: 1 tasks, INDEX from 0 to 0
                baselines: 2 tasks, INDEX from 0 to 1, after shared
                blocks: 2 tasks, INDEX from 0 to 1, after shared
                points: 1 tasks, INDEX from 0 to 0, after shared, baselines, blocks
                start: DIR/results/.launch/one/1/ptq launched DIR/results/.launch/one/1/tasks.json KIND INDEX
                """);

        for (String task : List.of("shared 0", "baselines 0", "baselines 1", "blocks 1", "blocks 0")) {
            String[] words = task.split(" ", -1);
            assertThat(launched(".launch/one/1", words[0], Integer.parseInt(words[1])))
                    .as(task)
                    .isEqualTo(new Outcome(0, "", ""));
        }
        Path unfinished;
        try (Stream<Path> cache = Files.list(folder.resolve("results/.cache"))) {
            unfinished = cache.filter(path -> path.toString().endsWith(".unfinished"))
                    .findFirst()
                    .orElseThrow();
        }
        assertThat(unfinished).isDirectoryContaining("glob:**/block-0.safetensors");
        assertThat(unfinished).isDirectoryContaining("glob:**/block-1.safetensors");
        assertThat(launched(".launch/one/1", "points", 0).code()).isZero();

        assertThat(run("alone").code()).isZero();
        assertEqual(folder.resolve("results/one"), folder.resolve("alone/one"));
        assertThat(unfinished).doesNotExist();
        assertThat(launched(".launch/one/1", "blocks", 0).code()).isZero(); // a late one has nothing to do
        assertThat(unfinished).doesNotExist();
    }

    @Test
    void blocksThatNeedOneAnotherAreNotSplit() throws IOException {
        for (String step :
                List.of("{ method = \"gptq\" }", "{ method = \"awq\" }", "{ method = \"omniquant\", lwc = false }")) {
            Outcome outcome = run(
                    "results", "--launcher", "files", "--split-blocks", "2", "--set", "approximation=[" + step + "]");
            assertThat(outcome.code()).isEqualTo(2);
            assertThat(outcome.err())
                    .startsWith("one: its blocks cannot be split among processes: the step \"")
                    .contains("lets the calibration samples run through the blocks, one after the other");
        }
        assertThat(folder.resolve("results")).doesNotExist();
    }

    @Test
    void optionsThatDoNotGoTogetherAreRefused() {
        assertThat(run("results", "--split-blocks", "2").err())
                .isEqualTo("--split-blocks: needs --launcher slurm or --launcher files\n");
        assertThat(run("results", "--detach").err()).isEqualTo("--detach: needs --launcher slurm\n");
        assertThat(sweep("--launcher", "files", "--launcher-config", "x").err())
                .isEqualTo("--launcher-config: needs --launcher slurm\n");
        assertThat(run("results", "--launcher", "slurm", "--split-blocks", "0").err())
                .isEqualTo("--split-blocks: expected a whole number of at least 1, got 0\n");
        assertThat(run("results", "--launcher", "files", "--force", "calibrate").err())
                .isEqualTo("--force: needs --launcher local\n");
        assertThat(run("results", "--launcher", "pbs").code()).isEqualTo(2);
        assertThat(sweep("--launcher", "slurm", "--launcher-config", "DIR/absent.toml")
                        .code())
                .isEqualTo(2);
    }

    @Test
    void slurmIsAskedInADryRunAndPlacesOfOneNodeAreRefused() throws IOException {
        FakeSlurm.in(Files.createDirectories(folder.resolve("slurm")));
        String commands = "commands = \"" + folder.resolve("slurm") + "\"\n";
        Files.writeString(folder.resolve("l.toml"), "[slurm]\ncpus = 2\nnode_local = []\n" + commands);
        Outcome outcome = sweep("--launcher", "slurm", "--launcher-config", "DIR/l.toml", "--dry-run", "--jobs", "3");

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out())
                .contains(
                        "2 points, 0 done",
                        "#SBATCH --array=0-1%3",
                        "#SBATCH --dependency=afterok:SHARED",
                        "export PTQ_THREADS=2",
                        "# sbatch --test-only: sbatch: would start");
        assertThat(folder.resolve("results")).doesNotExist();

        Files.writeString(folder.resolve("l.toml"), "[slurm]\nnode_local = [\"" + folder + "\"]\n" + commands);
        Outcome refused = sweep("--launcher", "slurm", "--launcher-config", "DIR/l.toml");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err().lines())
                .hasSize(4)
                .anyMatch(line -> line.startsWith("the results folder is at DIR/results, which nodes do not share"))
                .anyMatch(line -> line.startsWith("the model is at DIR/llama"))
                .anyMatch(line -> line.startsWith("the calibration text is at DIR/text.txt"))
                .anyMatch(line -> line.startsWith("the text tales is at DIR/text.txt"));
        Files.writeString(folder.resolve("l.toml"), "[slurm]\ncpu = 2\n");
        assertThat(sweep("--launcher", "slurm", "--launcher-config", "DIR/l.toml")
                        .err())
                .isEqualTo("DIR/l.toml:2:1: slurm.cpu: unknown key; did you mean \"cpus\"?\n");
    }
}
