package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.StreamSupport;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A run of the harness over a small model, {@code golden/tasks.json} beside the checkout: what it was given, and what it
 * made of it.
 *
 * @param json its entry in the file
 */
record GoldenRun(JsonNode json) {
    static final int MAX_TOKENS = 512;

    /** All runs; none where the file or the data is not there. */
    static List<GoldenRun> all() throws IOException {
        Optional<Path> file = Shared.find("golden/tasks.json");
        if (file.isEmpty() || Shared.find("data/tasks").isEmpty() || model().isEmpty()) {
            return List.of();
        }
        JsonNode runs =
                JsonMapper.shared().readTree(Files.readString(file.get())).get("runs");
        return StreamSupport.stream(runs.spliterator(), false)
                .map(GoldenRun::new)
                .toList();
    }

    static Optional<Path> model() {
        return Shared.find("models/stories260k");
    }

    String name() {
        return json.get("name").asString();
    }

    String task() {
        return json.get("task").asString();
    }

    /** The weights' names of which the file has scores. */
    List<String> variants() {
        return List.of("fp32", "W4A16_g32", "W4A8").stream().filter(json::has).toList();
    }

    TasksSettings settings() {
        return settings(List.of(Quirk.values()));
    }

    TasksSettings settings(List<Quirk> quirks) {
        JsonNode limit = json.get("limit");
        JsonNode addBos = json.get("add_bos_token");
        return new TasksSettings(
                List.of(task()),
                json.get("num_fewshot").asInt(),
                limit.isNull() ? OptionalDouble.empty() : OptionalDouble.of(limit.asDouble()),
                Profile.HARNESS,
                "",
                16,
                100_000,
                1234,
                addBos.isNull() ? Optional.empty() : Optional.of(addBos.asBoolean()),
                false,
                quirks,
                List.of());
    }

    TaskData data() throws IOException {
        JsonNode source = json.get("source");
        if (source.isString()) {
            return new TaskFolder(Shared.find("data/tasks").orElseThrow());
        }
        List<ObjectNode> documents = new ArrayList<>();
        if (source.has("texts_from")) {
            String[] paragraphs = text(source.get("texts_from")).split("\n\n", -1);
            JsonNode range = source.get("range");
            for (int i = range.get(0).asInt(); i < range.get(1).asInt(); i++) {
                documents.add(JsonMapper.shared().createObjectNode().put("text", paragraphs[i]));
            }
        } else {
            boolean lines = source.get("pages_from").asString().startsWith("wikitext2");
            String text = text(source.get("pages_from")).replace("<unk>", "unk");
            String[] parts = text.split(lines ? "(?<=\n)" : "\n\n", -1);
            for (JsonNode range : source.get("ranges")) {
                String[] own = Arrays.copyOfRange(
                        parts, range.get(0).asInt(), range.get(1).asInt());
                documents.add(
                        JsonMapper.shared().createObjectNode().put("page", String.join(lines ? "" : "\n\n", own)));
            }
        }
        return new TaskRows().put(task(), "test", documents);
    }

    private static String text(JsonNode file) throws IOException {
        return Files.readString(Shared.find("data/" + file.asString()).orElseThrow());
    }

    /** The scores of all requests, in their order. */
    List<Score> scores(String variant) {
        List<Score> scores = new ArrayList<>();
        JsonNode own = json.get(variant);
        String greedy = own.path("is_greedy").asString("");
        if (own.has("items")) {
            own.get("items")
                    .forEach(item -> item.get("windows_ctx_cont_ll")
                            .forEach(
                                    window -> scores.add(new Score(window.get(2).asDouble(), false))));
        } else {
            add(own.get("ll"), greedy, scores);
        }
        return scores;
    }

    private static void add(JsonNode values, String greedy, List<Score> scores) {
        if (values.isNumber()) {
            boolean likeliest = !greedy.isEmpty() && greedy.charAt(scores.size()) == '1';
            scores.add(new Score(values.asDouble(), likeliest));
        } else {
            values.forEach(value -> add(value, greedy, scores));
        }
    }

    /** A model that says what was recorded. */
    RequestScorer recorded(String variant) {
        List<Score> left = new ArrayList<>(scores(variant));
        return (name, requests) -> {
            List<Score> own = List.copyOf(left.subList(0, requests.size()));
            left.subList(0, requests.size()).clear();
            return own;
        };
    }

    /** Compares the metrics, errors and versions of a variant. */
    void assertMetrics(TaskResults results, String variant) {
        ObjectNode harness = results.harness(
                JsonMapper.shared().createObjectNode(), JsonMapper.shared().createObjectNode());
        json.get(variant)
                .get("metrics")
                .properties()
                .forEach(task -> task.getValue().properties().forEach(value -> {
                    JsonNode own = harness.get("results").get(task.getKey()).get(value.getKey());
                    String label = name() + " " + variant + " " + task.getKey() + " " + value.getKey();
                    if (value.getValue().isNumber()) {
                        double expected = value.getValue().asDouble();
                        double relative = value.getKey().startsWith("acc") ? 1e-12 : 1e-5;
                        assertThat(own.asDouble()).as(label).isCloseTo(expected, within(relative * expected));
                    } else {
                        assertThat(own).as(label).isEqualTo(value.getValue());
                    }
                }));
        assertThat(harness.get("versions")).isEqualTo(json.get("versions"));
    }
}
