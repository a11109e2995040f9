package dev.ptq.track;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.track.Tracking.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Runs sent to a server, and what becomes of them when it fails. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TrackingTest {
    @TempDir
    Path results;

    private FakeMlflow server;

    @BeforeEach
    void start() throws IOException {
        server = new FakeMlflow();
    }

    @AfterEach
    void stop() {
        server.close();
    }

    /** Writes a run with as much as is read of one. */
    static Path run(Path directory, char digit) throws IOException {
        Files.createDirectories(directory);
        Files.writeString(directory.resolve("manifest.json"), """
                {"fingerprint": "%s", "program": {"version": "1", "commit": "abc", "threads": 1, "sources": {}},
                 "machine": {"jvm": "", "os": "", "cores": 1, "memory_bytes": 1},
                 "started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:02Z", "stages": {}}
                """.formatted(
                        String.valueOf(digit).repeat(64)));
        Files.writeString(directory.resolve("metrics.json"), "{\"tales/perplexity\": 4.5, \"note\": \"x\"}");
        Files.writeString(
                directory.resolve("resolved.toml"),
                "seed = 3\n[[approximation]]\nmethod = \"l2qer\"\nrank = 4\n[model]\nname = \"" + "m".repeat(700)
                        + "\"\n");
        return directory;
    }

    private static TrackingSettings settings(String address, Map<String, String> variables) {
        return TrackingSettings.of(Optional.of("mlflow:" + address), variables::get);
    }

    private Outcome send(Path... runs) throws IOException {
        return new Tracking(settings(server.address(), Map.of()), Duration.ofMillis(1500)).send(results, List.of(runs));
    }

    private List<String> notes() throws IOException {
        Path folder = results.resolve(Tracking.UNSENT);
        if (!Files.exists(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString().substring(0, 2))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void aRunIsSentOnceWithWhatItIsMadeOf() throws IOException {
        Path run = run(results.resolve("one"), 'a');

        assertThat(send(run)).isEqualTo(new Outcome(1, 0, List.of()));
        assertThat(send(run)).isEqualTo(new Outcome(0, 1, List.of()));

        assertThat(server.tags()).containsOnlyKeys("one");
        assertThat(server.tags().get("one"))
                .containsEntry("ptq.fingerprint", "a".repeat(64))
                .containsEntry("mlflow.source.git.commit", "abc");
        assertThat(server.logged("one"))
                .containsEntry("tales/perplexity", "4.5")
                .containsEntry("seconds", "2.0")
                .containsEntry("seed", "3")
                .containsEntry("approximation.l2qer.rank", "4")
                .containsEntry("model.name", "m".repeat(500))
                .doesNotContainKey("note");
        assertThat(server.status("one")).isEqualTo("FINISHED");
        assertThat(server.files().keySet())
                .containsExactlyInAnyOrder(
                        "0/r0/artifacts/manifest.json", "0/r0/artifacts/metrics.json", "0/r0/artifacts/resolved.toml");
        assertThat(notes()).isEmpty();
    }

    @Test
    void pointsAreChildrenOfTheirSweep() throws IOException {
        run(results.resolve("sweep/a"), 'a');
        run(results.resolve("sweep/b"), 'b');
        run(results.resolve(".cache/c"), 'c');
        Files.writeString(results.resolve("sweep/sweep.json"), "{}");

        assertThat(send(FinishedRun.in(List.of(results)).toArray(Path[]::new))).isEqualTo(new Outcome(2, 0, List.of()));

        assertThat(server.tags()).containsOnlyKeys("sweep", "a", "b");
        String parent = server.idOf("sweep");
        assertThat(server.tags().get("a")).containsEntry("mlflow.parentRunId", parent);
        assertThat(server.tags().get("b")).containsEntry("mlflow.parentRunId", parent);
    }

    /** Each way to fail is a problem in words, the run is noted, and the same command sends it later. */
    @Test
    void whatTheServerDoesNotTakeIsNotedAndSentLater() throws IOException {
        Map<String, FakeMlflow.Failure> failures = new LinkedHashMap<>();
        failures.put("answered 500", exchange -> FakeMlflow.answer(exchange, 500, "<html>oops</html>"));
        failures.put("MLFLOW_TRACKING_TOKEN right", exchange -> FakeMlflow.answer(exchange, 401, "who?"));
        failures.put("not JSON", exchange -> FakeMlflow.answer(exchange, 200, "<html>hello</html>"));
        failures.put("expected experiment_id", exchange -> FakeMlflow.answer(exchange, 200, "{}"));
        failures.put("answered 302", exchange -> FakeMlflow.answer(exchange, 302, ""));
        failures.put("does not answer", exchange -> {
            exchange.close();
            return true;
        });
        failures.put("timed out", exchange -> true);
        Path run = run(results.resolve("one"), 'a');
        Path other = run(results.resolve("two"), 'b');
        for (Map.Entry<String, FakeMlflow.Failure> each : failures.entrySet()) {
            server.fail(each.getValue());
            Outcome outcome = send(run, other);
            assertThat(outcome.sent()).isZero();
            assertThat(outcome.problems()).singleElement().asString().contains("one: not sent: ", each.getKey());
            assertThat(notes()).containsExactly("aa", "bb");
        }
        server.fail(exchange -> false);
        assertThat(send()).isEqualTo(new Outcome(2, 0, List.of()));
        assertThat(notes()).isEmpty();
    }

    @Test
    void aRunThatWasSentInPartIsCompleted() throws IOException {
        Path run = run(results.resolve("one"), 'a');
        for (String part : List.of("runs/log-batch", "artifacts/0/r0/artifacts/metrics.json", "runs/update")) {
            server.fail(exchange ->
                    exchange.getRequestURI().getPath().endsWith(part) && FakeMlflow.answer(exchange, 503, "later"));
            assertThat(send(run).problems()).singleElement().asString().contains("answered 503", "later");
            assertThat(server.status("one")).isEqualTo("RUNNING");
        }
        server.fail(exchange -> false);

        assertThat(send(run)).isEqualTo(new Outcome(1, 0, List.of()));
        assertThat(server.tags()).hasSize(1);
        assertThat(server.status("one")).isEqualTo("FINISHED");
    }

    @Test
    void aServerThatIsNotThereIsNoException() throws IOException {
        Path run = run(results.resolve("one"), 'a');
        server.close();

        assertThat(send(run).problems()).singleElement().asString().contains("does not answer");
        assertThat(notes()).containsExactly("aa");
        try (Stream<Path> files = Files.walk(run)) {
            for (Path path : files.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(path);
            }
        }
        assertThat(send()).isEqualTo(new Outcome(0, 0, List.of()));
        assertThat(notes()).isEmpty();
    }

    @Test
    void filesOfAnotherStoreStayHere() throws IOException {
        server.keepFilesAt("s3://bucket/");
        assertThat(send(run(results.resolve("one"), 'a'))).isEqualTo(new Outcome(1, 0, List.of()));
        assertThat(server.files()).isEmpty();
    }

    @Test
    void damagedRunsAreProblems() throws IOException {
        Path bad = run(results.resolve("bad"), 'a');
        Files.writeString(bad.resolve("metrics.json"), "{");
        Path odd = run(results.resolve("odd"), 'b');
        Files.writeString(
                odd.resolve("manifest.json"),
                Files.readString(odd.resolve("manifest.json")).replaceAll("b{64}", "../x"));

        Outcome outcome = send(bad, odd, run(results.resolve("good"), 'c'));
        assertThat(outcome.sent()).isEqualTo(1);
        assertThat(outcome.problems()).hasSize(2);
        assertThatThrownBy(() -> FinishedRun.in(List.of(results.resolve("absent"))))
                .hasMessageContaining("no such folder");
    }

    @Test
    void theTokenIsSentOnlyWhereOthersCannotReadIt() throws IOException {
        Map<String, String> token = Map.of("MLFLOW_TRACKING_TOKEN", "secret");
        Path run = run(results.resolve("one"), 'a');
        new Tracking(settings(server.address(), token), Duration.ofSeconds(5)).send(results, List.of(run));
        assertThat(server.requests()).isNotEmpty().allMatch(request -> request.endsWith("[Bearer secret]"));

        List<String> problems = new ArrayList<>();
        for (String address : List.of("http://mlflow.example.org", "ftp://x", "not an address", "http://u:p@host")) {
            try {
                settings(address, token);
            } catch (ConfigException e) {
                problems.addAll(e.problems());
            }
        }
        assertThat(problems).hasSize(4).noneMatch(problem -> problem.contains("secret") || problem.contains("u:p"));
        assertThatThrownBy(() -> settings("http://localhost:1", Map.of("MLFLOW_TRACKING_TOKEN", "two words")))
                .isInstanceOf(ConfigException.class);
    }

    @Test
    void theAddressMayComeFromTheEnvironment() {
        Map<String, String> variables =
                Map.of("MLFLOW_TRACKING_URI", "http://localhost:5000/", "MLFLOW_EXPERIMENT_NAME", "mine");
        TrackingSettings settings = TrackingSettings.of(Optional.empty(), variables::get);
        assertThat(settings.server()).hasToString("http://localhost:5000");
        assertThat(settings.experiment()).isEqualTo("mine");
        Map<String, String> none = Map.of();
        assertThatThrownBy(() -> TrackingSettings.of(Optional.empty(), none::get))
                .hasMessageContaining("MLFLOW_TRACKING_URI: is not set");
        assertThatThrownBy(() -> TrackingSettings.of(Optional.of("wandb:x"), none::get))
                .hasMessageContaining("expected mlflow:");
    }
}
