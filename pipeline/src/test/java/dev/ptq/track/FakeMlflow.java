package dev.ptq.track;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Executors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** An MLflow server of one experiment, as far as it is asked, which can fail in every way. */
final class FakeMlflow implements AutoCloseable {
    private final HttpServer server;
    private final List<String> requests = new ArrayList<>();
    private final Map<String, Map<String, String>> tags = new LinkedHashMap<>();
    private final Map<String, JsonNode> runs = new LinkedHashMap<>();
    private final Map<String, Map<String, String>> logged = new LinkedHashMap<>();
    private final Map<String, String> finished = new LinkedHashMap<>();
    private final Map<String, String> files = new LinkedHashMap<>();
    private String artifacts = "mlflow-artifacts:/0/";
    private boolean experiment;
    private Failure failure = exchange -> false;

    /** Answers a request in a wrong way, or not at all; returns whether it did. */
    interface Failure {
        boolean answer(HttpExchange exchange) throws IOException;
    }

    FakeMlflow() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::handle);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    String address() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    synchronized void fail(Failure how) {
        failure = how;
    }

    synchronized void keepFilesAt(String store) {
        artifacts = store;
    }

    synchronized List<String> requests() {
        return List.copyOf(requests);
    }

    /** The tags of each run by its name. */
    synchronized Map<String, Map<String, String>> tags() {
        Map<String, Map<String, String>> named = new LinkedHashMap<>();
        tags.forEach((id, all) -> named.put(nameOf(id), all));
        return named;
    }

    /** The metrics and parameters of a run. */
    synchronized Map<String, String> logged(String name) {
        return logged.getOrDefault(idOf(name), Map.of());
    }

    synchronized String status(String name) {
        return finished.getOrDefault(idOf(name), "RUNNING");
    }

    synchronized Map<String, String> files() {
        return Map.copyOf(files);
    }

    String idOf(String name) {
        return runs.entrySet().stream()
                .filter(entry -> entry.getValue().path("run_name").asString().equals(name))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse("none");
    }

    private String nameOf(String id) {
        return Objects.requireNonNull(runs.get(id)).path("run_name").asString();
    }

    private synchronized void handle(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        requests.add(exchange.getRequestMethod() + " " + path + " "
                + exchange.getRequestHeaders().getOrDefault("Authorization", List.of()));
        if (failure.answer(exchange)) {
            return;
        }
        byte[] body = exchange.getRequestBody().readAllBytes();
        if (path.startsWith("/api/2.0/mlflow-artifacts/artifacts/")) {
            files.put(
                    path.substring("/api/2.0/mlflow-artifacts/artifacts/".length()),
                    new String(body, StandardCharsets.UTF_8));
            answer(exchange, 200, "{}");
            return;
        }
        JsonNode json = body.length == 0
                ? JsonMapper.shared().createObjectNode()
                : JsonMapper.shared().readTree(body);
        switch (path.replace("/api/2.0/mlflow/", "")) {
            case "experiments/get-by-name" ->
                answer(exchange, experiment ? 200 : 404, "{\"experiment\": {\"experiment_id\": \"0\"}}");
            case "experiments/create" -> {
                experiment = true;
                answer(exchange, 200, "{\"experiment_id\": \"0\"}");
            }
            case "runs/search" -> search(exchange, json.path("filter").asString());
            case "runs/create" -> create(exchange, json);
            case "runs/log-batch" -> {
                Map<String, String> values =
                        logged.computeIfAbsent(json.path("run_id").asString(), id -> new LinkedHashMap<>());
                for (String what : List.of("metrics", "params")) {
                    json.path(what)
                            .forEach(each -> values.put(
                                    each.path("key").asString(),
                                    each.path("value").asString()));
                }
                answer(exchange, 200, "{}");
            }
            case "runs/update" -> {
                finished.put(json.path("run_id").asString(), json.path("status").asString());
                answer(exchange, 200, "{}");
            }
            default -> answer(exchange, 404, "{}");
        }
    }

    private void search(HttpExchange exchange, String filter) throws IOException {
        String[] words =
                filter.replaceAll("^tags\\.`([^`]*)` = '([^']*)'$", "$1 $2").split(" ", -1);
        for (Map.Entry<String, Map<String, String>> run : tags.entrySet()) {
            if (words[1].equals(run.getValue().get(words[0]))) {
                answer(exchange, 200, "{\"runs\": [" + info(run.getKey()) + "]}");
                return;
            }
        }
        answer(exchange, 200, "{}");
    }

    private void create(HttpExchange exchange, JsonNode json) throws IOException {
        String id = "r" + runs.size();
        runs.put(id, json);
        Map<String, String> own = new LinkedHashMap<>();
        json.path("tags")
                .forEach(tag ->
                        own.put(tag.path("key").asString(), tag.path("value").asString()));
        tags.put(id, own);
        answer(exchange, 200, "{\"run\": " + info(id) + "}");
    }

    private String info(String id) {
        return "{\"info\": {\"run_id\": \"" + id + "\", \"status\": \"" + finished.getOrDefault(id, "RUNNING")
                + "\", \"artifact_uri\": \"" + artifacts + id + "/artifacts\"}}";
    }

    static boolean answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
        return true;
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
