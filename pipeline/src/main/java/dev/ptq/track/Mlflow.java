package dev.ptq.track;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The few requests of MLflow's REST interface, version 2.0, that tell a server of a run. */
final class Mlflow {
    private static final String API = "/api/2.0/mlflow/";
    private static final String ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/";
    private static final int MOST_ANSWER = 300;

    /** Limits of one log-batch request. */
    private static final int METRICS_AT_ONCE = 1000;

    private static final int PARAMETERS_AT_ONCE = 100;
    private static final int LONGEST_PARAMETER = 500;

    private final TrackingSettings settings;
    private final Duration patience;
    private final HttpClient http;

    /** A run of the server. */
    record RunId(String id, String artifacts, boolean finished) {}

    Mlflow(TrackingSettings settings, Duration patience) {
        this.settings = settings;
        this.patience = patience;
        this.http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER)
                .connectTimeout(patience)
                .build();
    }

    /** Finds or makes the experiment; returns its id. */
    String experiment() throws IOException {
        Optional<String> there = experimentByName();
        if (there.isPresent()) {
            return there.get();
        }
        HttpResponse<String> made = post("experiments/create", Map.of("name", settings.experiment()));
        if (made.statusCode() == 400) { // another process was faster
            there = experimentByName();
            if (there.isPresent()) {
                return there.get();
            }
        }
        return text(json(made), "experiment_id");
    }

    private Optional<String> experimentByName() throws IOException {
        HttpResponse<String> found = send(request(API + "experiments/get-by-name?experiment_name="
                        + URLEncoder.encode(settings.experiment(), StandardCharsets.UTF_8))
                .GET()
                .build());
        return found.statusCode() == 404
                ? Optional.empty()
                : Optional.of(text(json(found).path("experiment"), "experiment_id"));
    }

    /** Finds a run that has a tag. */
    Optional<RunId> find(String experiment, String tag, String value) throws IOException {
        JsonNode found = json(post(
                "runs/search",
                Map.of(
                        "experiment_ids",
                        List.of(experiment),
                        "max_results",
                        1,
                        "filter",
                        "tags.`" + tag + "` = '" + value.replace("'", "_") + "'")));
        JsonNode run = found.path("runs").path(0);
        return run.isMissingNode() ? Optional.empty() : Optional.of(runId(run));
    }

    /** Makes a run. */
    RunId create(String experiment, String name, Instant started, Map<String, String> tags) throws IOException {
        List<Map<String, String>> pairs = new ArrayList<>();
        tags.forEach((key, value) -> pairs.add(Map.of("key", key, "value", value)));
        return runId(json(post(
                        "runs/create",
                        Map.of(
                                "experiment_id",
                                experiment,
                                "run_name",
                                name,
                                "start_time",
                                started.toEpochMilli(),
                                "tags",
                                pairs)))
                .path("run"));
    }

    private static RunId runId(JsonNode run) throws IOException {
        JsonNode info = run.path("info");
        return new RunId(
                text(info, "run_id"),
                info.path("artifact_uri").asString(""),
                info.path("status").asString("").equals("FINISHED"));
    }

    /** Sends metrics and parameters; the same again changes nothing. */
    void log(RunId run, Map<String, Double> metrics, Map<String, String> parameters, Instant at) throws IOException {
        List<Map<String, Object>> values = new ArrayList<>();
        metrics.forEach((key, value) ->
                values.add(Map.of("key", plain(key), "value", value, "timestamp", at.toEpochMilli(), "step", 0)));
        List<Map<String, Object>> given = new ArrayList<>();
        parameters.forEach((key, value) -> given.add(
                Map.of("key", plain(key), "value", value.substring(0, Math.min(LONGEST_PARAMETER, value.length())))));
        for (int i = 0; i < values.size(); i += METRICS_AT_ONCE) {
            batch(run, "metrics", values.subList(i, Math.min(values.size(), i + METRICS_AT_ONCE)));
        }
        for (int i = 0; i < given.size(); i += PARAMETERS_AT_ONCE) {
            batch(run, "params", given.subList(i, Math.min(given.size(), i + PARAMETERS_AT_ONCE)));
        }
    }

    private void batch(RunId run, String what, List<Map<String, Object>> some) throws IOException {
        json(post("runs/log-batch", Map.of("run_id", run.id(), what, some)));
    }

    /** A name in the characters that the server takes. */
    private static String plain(String key) {
        return key.replaceAll("[^A-Za-z0-9_./ -]", "_");
    }

    /** Returns whether the server itself keeps a run's files. Others are in a store that only its own client reaches. */
    static boolean keepsFiles(RunId run) {
        return run.artifacts().startsWith("mlflow-artifacts:/");
    }

    /** Sends a file. */
    void upload(RunId run, Path file) throws IOException {
        String folder = run.artifacts().replaceFirst("^mlflow-artifacts:/+", "");
        String name = URLEncoder.encode(String.valueOf(file.getFileName()), StandardCharsets.UTF_8)
                .replace("+", "%20");
        require(send(request(ARTIFACTS + folder + "/" + name)
                .header("Content-Type", "application/octet-stream")
                .PUT(HttpRequest.BodyPublishers.ofFile(file))
                .build()));
    }

    /** Says that a run is complete. */
    void finish(RunId run, Instant ended) throws IOException {
        Map<String, Object> update = new LinkedHashMap<>();
        update.put("run_id", run.id());
        update.put("status", "FINISHED");
        update.put("end_time", ended.toEpochMilli());
        json(post("runs/update", update));
    }

    private HttpRequest.Builder request(String path) throws IOException {
        HttpRequest.Builder request;
        try {
            request =
                    HttpRequest.newBuilder(URI.create(settings.server() + path)).timeout(patience);
        } catch (IllegalArgumentException e) {
            throw new IOException(settings.server() + ": the server's answer leads to no address: " + path, e);
        }
        settings.token().ifPresent(token -> request.header("Authorization", "Bearer " + token));
        return request;
    }

    private HttpResponse<String> post(String path, Map<String, ?> body) throws IOException {
        return send(request(API + path)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(JsonMapper.shared().writeValueAsString(body)))
                .build());
    }

    private HttpResponse<String> send(HttpRequest request) throws IOException {
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (IOException e) {
            String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
            throw new IOException(settings.server() + ": does not answer (" + reason + ")", e);
        }
    }

    private void require(HttpResponse<String> response) throws IOException {
        int status = response.statusCode();
        if (status / 100 != 2) {
            String said = response.body().replaceAll("\\s+", " ").strip();
            throw new IOException(response.request().uri() + ": answered " + status
                    + (status == 401 || status == 403 ? "; is MLFLOW_TRACKING_TOKEN right?" : "") + ": "
                    + said.substring(0, Math.min(MOST_ANSWER, said.length())));
        }
    }

    private JsonNode json(HttpResponse<String> response) throws IOException {
        require(response);
        try {
            return JsonMapper.shared().readTree(response.body());
        } catch (JacksonException e) {
            throw new IOException(
                    response.request().uri() + ": answered something that is not JSON; is it an MLflow server?", e);
        }
    }

    private static String text(JsonNode node, String key) throws IOException {
        String text = node.path(key).asString("");
        if (!text.matches("[A-Za-z0-9_-]{1,64}")) {
            throw new IOException("mlflow: expected " + key + " in the server's answer, got \""
                    + text.substring(0, Math.min(MOST_ANSWER, text.length())) + "\"");
        }
        return text;
    }
}
