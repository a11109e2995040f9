package dev.ptq.run;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.lock.LockFile;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TwoProcessesTest {
    private static final Provenance PROVENANCE = new Provenance("1", "abc", 1, Map.of());

    @TempDir
    Path results;

    private Process other;

    /** The other process: says when it is in the stage, and stays there until it is told to go on. */
    static final class Other {
        private Other() {}

        public static void main(String[] arguments) throws IOException {
            TestStage stage = TestStage.of("calibrate").doing(output -> {
                System.out.println("in the stage");
                System.in.read();
            });
            TwoProcessesTest.run(Path.of(arguments[0]), "theirs", stage);
        }
    }

    private static Run run(Path results, String tag, TestStage calibrate) throws IOException {
        Plan plan = new Plan(List.of(TestStage.of("prepare"), calibrate, TestStage.of("quantize", "calibrate")));
        return new Runs(results).run(tag, plan, Optional.empty(), PROVENANCE, (directory, manifest) -> {});
    }

    @BeforeEach
    void waitUntilTheOtherProcessIsInTheStage() throws IOException {
        other = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Other.class.getName(),
                        results.toString())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        BufferedReader saidByOther = other.inputReader(UTF_8);
        assertThat(saidByOther.lines().anyMatch("in the stage"::equals)).isTrue();
    }

    @AfterEach
    void end() {
        other.destroyForcibly();
    }

    private static List<String> names(Path directory) throws IOException {
        try (Stream<Path> paths = Files.list(directory)) {
            return paths.map(path -> path.getFileName().toString())
                    .filter(name -> !name.endsWith(".lock") && !name.endsWith(".uses"))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void finishesWhatAKilledProcessBegan() throws Exception {
        other.destroyForcibly().waitFor();
        assertThat(names(results)).containsExactly(".cache");
        assertThat(names(results.resolve(".cache")))
                .hasSize(3)
                .allMatch(name -> name.startsWith("calibrate-") || name.startsWith("prepare-"))
                .anyMatch(name -> name.contains(".partial-" + other.pid()))
                .anyMatch(name -> name.endsWith(".unfinished"));

        TestStage calibrate = TestStage.of("calibrate");
        Run run = run(results, "theirs", calibrate);

        assertThat(run.alreadyComplete()).isFalse();
        assertThat(calibrate.runs()).hasValue(1);
        assertThat(run.directory().resolve("quantize/sub/out.txt")).hasContent("calibrate=0;quantize=0;");
        assertThat(names(results)).containsExactly(".cache", "theirs");
        assertThat(names(results.resolve(".cache"))).hasSize(3).noneMatch(name -> name.contains(".partial"));
    }

    private CachePruning.Result prune() throws IOException {
        return new CachePruning(results, true, Instant.now().plusSeconds(60), false).run();
    }

    @Test
    void prunesNothingThatAnotherProcessMakesOrUses() throws Exception {
        CachePruning.Result result = prune();

        assertThat(result.deleted()).isEmpty();
        assertThat(result.busy().stream().map(CacheEntry::kind))
                .containsExactlyInAnyOrder(
                        CacheEntry.Kind.PARTIAL, CacheEntry.Kind.UNFINISHED, CacheEntry.Kind.FINISHED);
        other.getOutputStream().close();
        assertThat(other.waitFor()).isZero();
        assertThat(Manifest.read(results.resolve("theirs")).stages()).hasSize(3);
        assertThat(prune().deleted()).hasSize(3);
    }

    @Test
    void prunesWhatAKilledProcessMadeAndUsed() throws Exception {
        other.destroyForcibly().waitFor();

        assertThat(prune().deleted()).hasSize(3);
        try (Stream<Path> left = Files.list(results.resolve(".cache"))) {
            assertThat(left).isEmpty();
        }
    }

    /** Who waited for a lock whose file is deleted must not work under that: others take the new one's. */
    @Test
    void takesTheLockOfTheFileThatIsThereNow() throws Exception {
        Path lock = results.resolve(".cache/run+theirs.lock");
        CompletableFuture<Boolean> ours = CompletableFuture.supplyAsync(() -> {
            try {
                return new LockFile(results.resolve(".cache"), "run+theirs").hold(() -> Files.exists(lock));
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        assertThat(ours).withFailMessage("did not wait").failsWithin(200, TimeUnit.MILLISECONDS);

        Files.delete(lock);
        other.getOutputStream().close();

        assertThat(ours.get()).isTrue();
    }

    @Test
    void waitsForTheStageOfAnotherProcess() throws Exception {
        TestStage calibrate = TestStage.of("calibrate");
        CompletableFuture<Run> ours = CompletableFuture.supplyAsync(() -> {
            try {
                return run(results, "ours", calibrate);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        assertThat(ours).withFailMessage("did not wait").failsWithin(200, TimeUnit.MILLISECONDS);

        other.getOutputStream().close();

        assertThat(ours.get().manifest().stage("calibrate").reused()).isTrue();
        assertThat(calibrate.runs()).hasValue(0);
        assertThat(other.waitFor()).isZero();
    }
}
