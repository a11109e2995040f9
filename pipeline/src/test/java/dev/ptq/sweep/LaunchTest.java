package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What a launch leaves for its tasks. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LaunchTest {
    @TempDir
    Path folder;

    private Launch launch(Path jar) {
        Program program = new Program(List.of("echo", "-x"), List.of(jar, folder.resolve("absent.jar")), "Main");
        return new Launch(
                folder.resolve("results"),
                "a/b",
                true,
                new ConfigFiles(List.of(
                        new ConfigFiles.Content(Path.of("c.toml"), "seed = 1"),
                        new ConfigFiles.Content(Path.of("base.toml"), "seed = 2"))),
                folder,
                program,
                Map.of("PTQ_COMMIT", "it's"),
                1);
    }

    private static List<PlannedRun> runs() {
        return List.of(new PlannedRun("a/b/p", List.of("x=\"é\""), "f", List.of()));
    }

    private List<Path> copies() throws IOException {
        try (Stream<Path> files = Files.walk(folder.resolve("results/.program"))) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }

    @Test
    void standsByItself() throws Exception {
        Path jar = Files.writeString(folder.resolve("ptq.jar"), "one");
        List<String> lines = launch(jar).files(runs(), false);
        Path first = folder.resolve("results/a/b/launch/1");

        assertThat(lines)
                .containsExactly(
                        "points: 1 tasks, INDEX from 0 to 0",
                        "start: " + first + "/ptq launched " + first + "/tasks.json KIND INDEX");
        assertThat(first.resolve("config.toml")).hasContent("seed = 1");
        TaskList list = TaskList.read(first.resolve("tasks.json"));
        assertThat(list.configs())
                .containsExactly(
                        new TaskList.Config(
                                "c.toml", first.resolve("config.toml").toString()),
                        new TaskList.Config(
                                "base.toml", first.resolve("config-1.toml").toString()));
        assertThat(list.files().text()).isEqualTo("seed = 1");
        assertThat(list.kind("points").orElseThrow().tasks().get(0).set()).containsExactly("x=\"é\"");

        Files.writeString(jar, "two");
        launch(jar).files(runs(), false);
        launch(jar).files(runs(), false);
        assertThat(copies()).hasSize(2);
        assertThat(folder.resolve("results/a/b/launch/3")).exists();
        Process process = new ProcessBuilder(first + "/ptq", "launched", "tasks.json", "points", "0").start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(said).matches("-x -cp \\S+/ptq\\.jar Main launched tasks\\.json points 0\n");
        assertThat(Path.of(said.split(" ", -1)[2])).hasContent("one");
    }

    @Test
    void aDryRunWritesNothing() throws Exception {
        Path jar = Files.writeString(folder.resolve("ptq.jar"), "one");

        assertThat(launch(jar).files(runs(), true)).hasSize(2);
        assertThat(folder.resolve("results")).doesNotExist();
    }

    @Test
    void aListOfAnotherVersionIsRefused() throws Exception {
        Path file = Files.writeString(
                folder.resolve("tasks.json"),
                "{\"format\": 1, \"directory\": \"\", \"results\": \"\", \"configs\": [], \"kinds\": []}");
        assertThatThrownBy(() -> TaskList.read(file))
                .hasMessage(file + ": expected format 2, got 1; it belongs to another version of the program");
    }

    @Test
    void placesOfOneMachineAreNamed() throws Exception {
        Path real = folder.toRealPath();
        NodeLocal local = new NodeLocal(List.of(real + "/tmp", "no-such-type"));
        Files.createDirectories(real.resolve("tmp/models"));
        Files.createDirectories(real.resolve("shared"));
        Files.createSymbolicLink(real.resolve("shared/link"), real.resolve("tmp/models"));

        assertThat(local.problems(
                        Map.of("the results folder", List.of(real.resolve("shared/not/yet"), real.resolve("tmpfile")))))
                .isEmpty();
        assertThat(local.problems(Map.of("the model", List.of(real.resolve("shared/link/m")))))
                .containsExactly("the model is at " + real + "/shared/link/m, which nodes do not share: it is below "
                        + real + "/tmp; move it, or change node_local in the launcher's settings");
        String type = Files.getFileStore(real).type();
        assertThat(new NodeLocal(List.of(type)).problems(Map.of("the text", List.of(real))))
                .singleElement()
                .asString()
                .contains("its file system is a " + type);
    }

    @Test
    void locksThatReachAndParentsThatAreGoneAreNoProblem() throws Exception {
        Path cache = Files.createDirectories(folder.resolve("cache"));
        LaunchLock lock = new LaunchLock(cache, "a/b");
        assertThat(lock.problem()).isEmpty();
        assertThat(lock.<Boolean>hold(() -> lock.problem().isEmpty())).isTrue();
        assertThat(cache.resolve("launch+a+b.alive")).doesNotExist();
    }

    /** As where locks are local to each machine. */
    @Test
    void aFreeLockOfALivingParentIsAProblem() throws Exception {
        Path cache = Files.createDirectories(folder.resolve("cache"));
        Path beats = Files.writeString(cache.resolve("launch+t.alive"), "0");
        CountDownLatch over = new CountDownLatch(1);
        CompletableFuture<Void> parent = CompletableFuture.runAsync(() -> {
            try {
                for (int i = 1; !over.await(100, java.util.concurrent.TimeUnit.MILLISECONDS); i++) {
                    Files.writeString(beats, String.valueOf(i));
                }
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });

        assertThat(new LaunchLock(cache, "t").problem().orElseThrow())
                .startsWith(cache + ": locks of other machines do not reach this one")
                .contains("Lustre mount the file system with flock");
        over.countDown();
        parent.get();
    }
}
