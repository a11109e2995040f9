package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Sweeps on a real Slurm with two nodes on this machine, see {@code scripts/slurm-two-nodes}. Its longest array has ten
 * tasks.
 */
@Tag("slurm")
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SlurmClusterTest {
    private static final String GRID = """
            [axes]
            "approximation.l2qer.rank" = [2, 4]
            "quantization.weight.bits" = [3, 4, 6]
            """;

    /** Takes a minute or more, and saves what it learned of each block. */
    private static final String LONG = """
            seed = 3
            [model]
            path = "DIR/large"
            [calibration]
            dataset = "europarl"
            num_samples = 16
            seq_len = 128
            batch_size = 4
            [[approximation]]
            method = "omniquant"
            lwc = false
            epochs = EPOCHS
            batch_size = 4
            [quantization.weight]
            format = "mxint"
            bits = 3
            [[evaluation.perplexity]]
            dataset = "europarl"
            seq_len = 128
            max_samples = 8
            """;

    @TempDir
    static Path cluster;

    @TempDir
    Path folder;

    private int started;

    @BeforeAll
    static void startTwoNodes() throws Exception {
        boolean able = Stream.of("/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged")
                        .allMatch(command -> Files.isExecutable(Path.of(command)))
                && "root".equals(System.getProperty("user.name"));
        assumeTrue(able, "needs slurmctld, slurmd and munged, and to be root");
        assertThat(twoNodes("start")).isZero();
    }

    @AfterAll
    static void stopTwoNodes() throws Exception {
        if (Files.exists(cluster.resolve("one/slurm.conf"))) {
            twoNodes("stop");
        }
    }

    private static int twoNodes(String action) throws Exception {
        return new ProcessBuilder(
                        Path.of(System.getProperty("project.root"), "scripts", "slurm-two-nodes")
                                .toString(),
                        action,
                        cluster.resolve("one").toString())
                .redirectErrorStream(true)
                .redirectOutput(cluster.resolve(action + ".log").toFile())
                .start()
                .waitFor();
    }

    @BeforeEach
    void prepare() throws IOException {
        new TinyExperiment(folder).config(TinyExperiment.CONFIG);
        settings("");
        sweep(GRID);
    }

    private void settings(String more) throws IOException {
        Files.writeString(
                folder.resolve("l.toml"),
                "[slurm]\nnode_local = []\npoll_seconds = 1\nsettle_seconds = 5\ncpus = 1\njava_options = [\"-Xmx1g\"]\n"
                        + more);
    }

    private void sweep(String toml) throws IOException {
        Files.writeString(folder.resolve("s.toml"), toml);
    }

    private void longConfig(int epochs) throws IOException {
        SyntheticModel.llama()
                .sizes(128, 256)
                .layers(6)
                .vocabulary(259)
                .positions(128)
                .heads(4, 2)
                .tokenizer()
                .write(folder.resolve("large"));
        Files.writeString(
                folder.resolve("config.toml"),
                LONG.replace("DIR", folder.toString()).replace("EPOCHS", String.valueOf(epochs)));
        sweep("points.p = {}");
    }

    /** Starts the program; its output is in {@code N.log}. */
    private Process start(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx1g",
                "-XX:TieredStopAtLevel=1",
                "-Dlogback.configurationFile="
                        + Path.of(System.getProperty("project.root"), "pipeline/src/main/resources/logback.xml"),
                "-cp",
                System.getProperty("java.class.path"),
                Ptq.class.getName()));
        command.addAll(List.of(arguments));
        started++;
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve(started + ".log").toFile());
        builder.environment()
                .put("SLURM_CONF", cluster.resolve("one/slurm.conf").toString());
        builder.environment().put("PTQ_CHECKPOINT_SECONDS", "0");
        return builder.start();
    }

    private Process onCluster(String... more) throws IOException {
        List<String> arguments = new ArrayList<>(
                List.of("sweep", folder + "/s.toml", folder + "/config.toml", "t", "--results", folder + "/results"));
        arguments.addAll(List.of("--launcher", "slurm", "--launcher-config", folder + "/l.toml"));
        arguments.addAll(List.of(more));
        return start(arguments.toArray(String[]::new));
    }

    private Process local() throws IOException {
        return start("sweep", folder + "/s.toml", folder + "/config.toml", "t", "--results", folder + "/local");
    }

    private String log() {
        return log(started);
    }

    private String log(int number) {
        try {
            StringBuilder all = new StringBuilder(Files.readString(folder.resolve(number + ".log")));
            for (String launches : List.of("results/t/launch", "results/.launch")) {
                if (Files.exists(folder.resolve(launches))) {
                    try (Stream<Path> files = Files.walk(folder.resolve(launches))) {
                        for (Path file : files.filter(each -> each.toString().endsWith(".log"))
                                .toList()) {
                            all.append(file).append(":\n").append(Files.readString(file));
                        }
                    }
                }
            }
            return all.toString();
        } catch (IOException e) {
            return e.toString();
        }
    }

    private String shell(String command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder("bash", "-c", command).redirectErrorStream(true);
        builder.environment()
                .put("SLURM_CONF", cluster.resolve("one/slurm.conf").toString());
        Process process = builder.start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return out.strip();
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(300);
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(end);
            Thread.sleep(100);
        }
    }

    private boolean logged(String file, String text) {
        try {
            Path path = folder.resolve("results/t/launch/1").resolve(file);
            return Files.exists(path) && Files.readString(path).contains(text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean unfinishedHas(String name) {
        Path cache = folder.resolve("results/.cache");
        if (!Files.exists(cache)) {
            return false;
        }
        try (Stream<Path> files = Files.walk(cache, 2)) {
            return files.anyMatch(file -> file.toString().contains(".unfinished/") && file.endsWith(name));
        } catch (IOException | UncheckedIOException e) {
            return false; // changing just now
        }
    }

    private static Map<String, byte[]> artifacts(Path directory) throws IOException {
        Map<String, byte[]> artifacts = new TreeMap<>();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = directory.relativize(file).toString();
                if (!name.startsWith("launch") && (name.endsWith(".safetensors") || name.endsWith("/metrics.json"))) {
                    artifacts.put(name, Files.readAllBytes(file));
                }
            }
        }
        return artifacts;
    }

    private void assertEqualToALocalSweep() throws Exception {
        assertThat(local().waitFor()).as(this::log).isZero();
        Map<String, byte[]> wanted = artifacts(folder.resolve("local/t"));
        Map<String, byte[]> got = artifacts(folder.resolve("results/t"));
        assertThat(got.keySet()).isEqualTo(wanted.keySet()).isNotEmpty();
        wanted.forEach((name, bytes) -> assertThat(got.get(name)).as(name).isEqualTo(bytes));
    }

    @Test
    void aSweepIsEqualToALocalOneByteForByte() throws Exception {
        assertThat(onCluster().waitFor()).as(this::log).isZero();
        assertThat(log()).contains("shared: 5 tasks as job", "points: 6 tasks as job");
        assertEqualToALocalSweep();
    }

    @Test
    void arraysLongerThanTheLimitAreSeveral() throws Exception {
        sweep("axes.seed = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]\n");
        assertThat(onCluster("--set", "approximation=[]").waitFor())
                .as(this::log)
                .isZero();
        assertThat(folder.resolve("results/t/launch/1/points-10+0.log")).exists();
        assertThat(folder.resolve("results/t/seed-11/manifest.json")).exists();
    }

    @Test
    void aKilledParentIsFollowedByAnotherThatWatchesItsJobs() throws Exception {
        Process parent = onCluster();
        await(
                "submitted",
                () -> Files.exists(folder.resolve("results/t/launch/1/points.sh")) && log(1).contains("points to go"));
        parent.destroyForcibly().waitFor();

        assertThat(onCluster().waitFor()).as(this::log).isZero();
        assertThat(log()).contains("go on, watching them");
        assertThat(folder.resolve("results/t/launch/2")).doesNotExist();
    }

    @Test
    void anInterruptedParentSaysHowItGoesOn() throws Exception {
        Process parent = onCluster();
        await("submitted", () -> log(1).contains("points to go"));
        parent.destroy();
        parent.waitFor();
        assertThat(log(1)).contains("go on; the same command watches them; scancel ");

        assertThat(onCluster("--detach").waitFor()).as(this::log).isZero();
        assertThat(onCluster().waitFor()).as(this::log).isZero();
        assertThat(folder.resolve("results/t/launch/2")).doesNotExist();
    }

    @Test
    void aFailedCalibrationIsTheReasonOfAllPoints() throws Exception {
        Path weights = folder.resolve("llama/model.safetensors");
        shell("printf '\\377\\377\\377\\377' | dd of=" + weights + " bs=1 conv=notrunc seek=$(($(stat -c %s " + weights
                + ") - 4096))");
        assertThat(onCluster().waitFor()).as(this::log).isEqualTo(1);
        assertThat(log()).contains("failed: ", " failed: ").containsPattern("rank-2_bits-3 .*failed: .*failed: .*NaN");
        assertThat(shell("squeue -h")).isEmpty();
    }

    @Test
    void cancelledPointsAreNotRunAndTheSameCommandRunsThem() throws Exception {
        Process parent = onCluster();
        await("submitted", () -> log(1).contains("points to go"));
        shell("scancel --state=PENDING -n ptq:t:points");
        assertThat(parent.waitFor()).as(() -> log(1)).isEqualTo(1);
        assertThat(log(1)).contains("not run");

        assertThat(onCluster().waitFor()).as(this::log).isZero();
    }

    @Test
    void rangesOfBlocksAreEqualToOneProcess() throws Exception {
        String[] run = {"run", folder + "/config.toml", "t", "--results", folder + "/results"};
        List<String> arguments = new ArrayList<>(List.of(run));
        arguments.addAll(
                List.of("--launcher", "slurm", "--launcher-config", folder + "/l.toml", "--split-blocks", "2"));
        assertThat(start(arguments.toArray(String[]::new)).waitFor())
                .as(this::log)
                .isZero();
        assertThat(log()).contains("blocks: 2 tasks as job");

        run[run.length - 1] = folder + "/local";
        assertThat(start(run).waitFor()).as(this::log).isZero();
        assertThat(artifacts(folder.resolve("results/t")).keySet())
                .isEqualTo(artifacts(folder.resolve("local/t")).keySet());
        artifacts(folder.resolve("local/t"))
                .forEach((name, bytes) -> assertThat(folder.resolve("results/t").resolve(name))
                        .as(name)
                        .hasBinaryContent(bytes));
    }

    /** A node that is cut off: its task lives on while Slurm starts it again elsewhere. */
    @Test
    void aKilledDaemonLosesNothing() throws Exception {
        longConfig(12);
        Process parent = onCluster();
        await("a block", () -> unfinishedHas("block-0.safetensors"));
        String node = shell("squeue -h -t running -o %N | head -1");
        shell("kill -9 $(cat " + cluster + "/one/slurmd." + node + ".pid)");
        assertThat(parent.waitFor()).as(() -> log(1)).isZero();
        shell("slurmd -N " + node);
        assertEqualToALocalSweep();
    }

    @Test
    void aKilledNodeLosesAtMostABlock() throws Exception {
        longConfig(12);
        Process parent = onCluster();
        await("a block", () -> unfinishedHas("block-0.safetensors"));
        String node = shell("squeue -h -t running -o %N | head -1");
        shell("kill -9 $(cat " + cluster + "/one/slurmd." + node + ".pid)"
                + "; for p in $(pgrep -f 'slurmstepd: \\[|launched " + folder + "'); do kill -9 $p; done");
        shell("sleep 1; slurmd -N " + node);
        assertThat(parent.waitFor()).as(() -> log(1)).isZero();
        assertEqualToALocalSweep();
    }

    /** Slurm looks at limits every half minute, and signals up to a minute early. */
    @Test
    void aTaskGoesOnAfterItsTimeLimit() throws Exception {
        settings("time = \"2\"\nsignal_seconds = 20\nrequeues = 30\n");
        longConfig(30);
        assertThat(onCluster().waitFor()).as(this::log).isZero();
        assertThat(logged("points-0.log", "DUE TO JOB REQUEUE")).as(this::log).isTrue();
        assertEqualToALocalSweep();
    }

    @Test
    void locksThatDoNotReachANodeAreFoundAndTold() throws Exception {
        Path shim = Files.writeString(folder.resolve("nolock.c"), """
                #define _GNU_SOURCE
                #include <dlfcn.h>
                #include <fcntl.h>
                #include <stdarg.h>
                static int call(const char *name, int fd, int cmd, void *arg) {
                    if (cmd == F_SETLK || cmd == F_SETLKW) return 0;
                    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
                    return real(fd, cmd, arg);
                }
                int fcntl(int fd, int cmd, ...) { va_list l; va_start(l, cmd); void *a = va_arg(l, void *); va_end(l); return call("fcntl", fd, cmd, a); }
                int fcntl64(int fd, int cmd, ...) { va_list l; va_start(l, cmd); void *a = va_arg(l, void *); va_end(l); return call("fcntl64", fd, cmd, a); }
                """);
        assumeTrue(shell("cc -shared -fPIC -o " + folder + "/nolock.so " + shim + " -ldl && echo built")
                .endsWith("built"));
        settings("setup = [\"export LD_PRELOAD=" + folder + "/nolock.so\"]\n");
        assertThat(onCluster().waitFor()).as(this::log).isEqualTo(1);
        assertThat(log()).contains("locks of other machines do not reach this one");
    }
}
