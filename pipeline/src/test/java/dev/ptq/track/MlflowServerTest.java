package dev.ptq.track;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.track.Tracking.Outcome;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A real server, started by the command that the environment variable {@code PTQ_MLFLOW} names. */
@Tag("mlflow")
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class MlflowServerTest {
    @TempDir
    Path folder;

    private final HttpClient http = HttpClient.newHttpClient();
    private Optional<Process> server = Optional.empty();
    private String address = "";

    @BeforeEach
    void start() throws Exception {
        String command = System.getenv("PTQ_MLFLOW");
        assumeTrue(command != null, "needs PTQ_MLFLOW, the command mlflow");
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        address = "http://127.0.0.1:" + port;
        server = Optional.of(new ProcessBuilder(
                        command,
                        "server",
                        "--host",
                        "127.0.0.1",
                        "--port",
                        String.valueOf(port),
                        "--workers",
                        "1",
                        "--backend-store-uri",
                        "sqlite:///" + folder + "/runs.db",
                        "--artifacts-destination",
                        folder + "/files")
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("server.log").toFile())
                .start());
        while (!answers()) {
            assertThat(server.get().isAlive())
                    .as(Files.readString(folder.resolve("server.log")))
                    .isTrue();
            Thread.sleep(200);
        }
    }

    @AfterEach
    void stop() {
        server.ifPresent(process -> {
            process.descendants().forEach(ProcessHandle::destroy);
            process.destroy();
        });
    }

    private boolean answers() throws InterruptedException {
        try {
            return http.send(
                                    HttpRequest.newBuilder(URI.create(address + "/health"))
                                            .build(),
                                    HttpResponse.BodyHandlers.ofString())
                            .statusCode()
                    == 200;
        } catch (IOException e) {
            return false;
        }
    }

    private JsonNode ask(String path, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address + "/api/2.0/mlflow/" + path));
        HttpResponse<String> response = http.send(
                body.isEmpty()
                        ? request.build()
                        : request.header("Content-Type", "application/json")
                                .POST(HttpRequest.BodyPublishers.ofString(body))
                                .build(),
                HttpResponse.BodyHandlers.ofString());
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return JsonMapper.shared().readTree(response.body());
    }

    @Test
    void keepsRunsPointsAndFilesOnce() throws Exception {
        Path results = folder.resolve("results");
        TrackingTest.run(results.resolve("one"), 'a');
        TrackingTest.run(results.resolve("sweep/p"), 'b');
        Files.writeString(results.resolve("sweep/sweep.json"), "{}");
        TrackingSettings settings = TrackingSettings.of(
                Optional.of("mlflow:" + address), Map.of("MLFLOW_EXPERIMENT_NAME", "it's \"mine\"")::get);
        List<Path> runs = FinishedRun.in(List.of(results));

        assertThat(new Tracking(settings).send(results, runs)).isEqualTo(new Outcome(2, 0, List.of()));
        assertThat(new Tracking(settings).send(results, runs)).isEqualTo(new Outcome(0, 2, List.of()));

        JsonNode found = ask("runs/search", "{\"experiment_ids\": [\"1\"], \"order_by\": [\"attributes.run_name\"]}")
                .path("runs");
        assertThat(found.valueStream()
                        .map(run -> run.path("info").path("run_name").asString()))
                .containsExactly("one", "p", "sweep");
        assertThat(found.valueStream()
                        .map(run -> run.path("info").path("status").asString()))
                .containsOnly("FINISHED");
        JsonNode one = found.path(0);
        assertThat(one.path("data")
                        .path("metrics")
                        .valueStream()
                        .map(metric -> metric.path("key").asString()))
                .containsExactlyInAnyOrder("tales/perplexity", "seconds");
        assertThat(one.path("data")
                        .path("params")
                        .valueStream()
                        .map(each -> each.path("key").asString()))
                .contains("seed", "approximation.l2qer.rank");
        assertThat(ask(
                                "artifacts/list?run_id="
                                        + one.path("info").path("run_id").asString(),
                                "")
                        .path("files")
                        .valueStream()
                        .map(file -> file.path("path").asString()))
                .containsExactlyInAnyOrder("manifest.json", "metrics.json", "resolved.toml");
        assertThat(found.path(1).path("data").path("tags").toString())
                .contains(found.path(2).path("info").path("run_id").asString());
    }
}
