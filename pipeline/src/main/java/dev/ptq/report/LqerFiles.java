package dev.ptq.report;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.MetricName.Condition;
import dev.ptq.artifact.MetricName.OfTask;
import dev.ptq.artifact.MetricName.OfText;
import dev.ptq.artifact.TaskCondition;
import dev.ptq.artifact.TextCondition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/** Reads results of LQER's own code, under the names of our metrics. */
final class LqerFiles {
    /** The folders in a run to which LQER writes each kind of file. */
    private static final Set<String> STAGES = Set.of("evaluate_perplexity", "evaluate_harness_downstream");

    private static final Pattern PERPLEXITY = Pattern.compile("(?<text>wikitext2)\\.json");

    private static final Pattern HARNESS = Pattern.compile("(?<name>.*harness_results.*)\\.json");
    private static final String FIRST_HARNESS = "harness_results";

    /** Metrics and their conditions, LQER's names to ours; in alphabetical order. */
    private static final Map<String, Function<String, MetricName>> PERPLEXITY_KEYS = new TreeMap<>(Map.of(
            "loss", text -> new OfText(text, Metric.LOSS),
            "num_samples", text -> new Condition(text, TextCondition.CHUNKS),
            "seq_len", text -> new Condition(text, TextCondition.SEQ_LEN),
            "batch_size", text -> new Condition(text, TextCondition.BATCH_SIZE)));

    private LqerFiles() {}

    static boolean isOne(String fileName) {
        return PERPLEXITY.matcher(fileName).matches()
                || HARNESS.matcher(fileName).matches();
    }

    /** The run folder of a file in LQER's layout. */
    static Path runFolder(Path file) {
        Path folder = file.resolveSibling("");
        return STAGES.contains(String.valueOf(folder.getFileName())) ? folder.resolveSibling("") : folder;
    }

    /** Suffix of the run's name: a second evaluation, {@code harness_results_0.json}, is another row. */
    static String suffix(String fileName) {
        Matcher harness = HARNESS.matcher(fileName);
        return !harness.matches() || harness.group("name").equals(FIRST_HARNESS) ? "" : "/" + harness.group("name");
    }

    static Map<String, Object> metrics(Path file) throws IOException {
        String fileName = String.valueOf(file.getFileName());
        Map<String, JsonNode> content = JsonObject.object(file);
        Matcher perplexity = PERPLEXITY.matcher(fileName);
        Map<String, Object> metrics =
                perplexity.matches() ? perplexity(perplexity.group("text"), content) : harness(content);
        if (metrics.isEmpty()) {
            throw new IOException(fileName + ": expected results as LQER writes them, found none");
        }
        return metrics;
    }

    private static Map<String, Object> perplexity(String text, Map<String, JsonNode> content) {
        Map<String, Object> metrics = new LinkedHashMap<>();
        number(content, "perplexity").ifPresent(value -> {
            metrics.put(new OfText(text, Metric.PERPLEXITY).key(), value);
            metrics.put(new Condition(text, TextCondition.PROTOCOL).key(), "lqer");
        });
        PERPLEXITY_KEYS.forEach((key, name) -> number(content, key)
                .ifPresent(value -> metrics.put(name.apply(text).key(), value)));
        return metrics;
    }

    /** The results of each task, in the older layout ({@code acc}) or the newer ({@code "acc,none"}). */
    private static Map<String, Object> harness(Map<String, JsonNode> content) {
        Map<String, Object> metrics = new LinkedHashMap<>();
        Map<String, JsonNode> shots = members(content, "n-shot");
        Map<String, JsonNode> versions = members(content, "versions");
        Map<String, JsonNode> config = members(content, "config");
        members(content, "results").forEach((task, results) -> {
            Map<String, JsonNode> scores = JsonObject.members(results);
            boolean newer = scores.keySet().stream().anyMatch(key -> key.contains(","));
            for (String key : scores.keySet()) {
                if (!newer || key.contains(",")) {
                    number(scores, key)
                            .ifPresent(value ->
                                    metrics.put(new OfTask(task, key.replaceFirst(",none$", "")).key(), value));
                }
            }
            number(shots, task)
                    .or(() -> number(config, "num_fewshot"))
                    .ifPresent(value -> metrics.put(new OfTask(task, TaskCondition.NUM_FEWSHOT).key(), value));
            number(config, "limit").ifPresent(value -> metrics.put(new OfTask(task, TaskCondition.LIMIT).key(), value));
            number(versions, task)
                    .ifPresent(value -> metrics.put(new OfTask(task, TaskCondition.VERSION).key(), value));
        });
        return metrics;
    }

    private static Map<String, JsonNode> members(Map<String, JsonNode> content, String key) {
        JsonNode node = content.get(key);
        return node == null ? Map.of() : JsonObject.members(node);
    }

    /** A number; unknown ones are written as text, {@code "N/A"}. */
    private static Optional<Number> number(Map<String, JsonNode> content, String key) {
        JsonNode node = content.get(key);
        return node != null && node.isNumber() ? Optional.of(node.numberValue()) : Optional.empty();
    }
}
