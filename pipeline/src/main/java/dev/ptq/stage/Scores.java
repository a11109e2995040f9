package dev.ptq.stage;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TextCondition;
import dev.ptq.evaluate.PerplexityProtocol;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/**
 * {@code scores.json}: the metrics of one variant on one text, and the conditions they were measured under.
 *
 * @param metrics the perplexity and the loss, and others that the settings ask for
 * @param conditions words, and counts as {@code Long}
 */
public record Scores(Map<Metric, Double> metrics, Map<TextCondition, Object> conditions) {
    public Scores {
        metrics = ordered(Metric.class, metrics);
        conditions = ordered(TextCondition.class, conditions);
    }

    private static <K extends Enum<K>, V> Map<K, V> ordered(Class<K> keys, Map<K, V> map) {
        Map<K, V> ordered = new EnumMap<>(keys);
        ordered.putAll(map);
        return Collections.unmodifiableMap(ordered);
    }

    /** A metric that every evaluation has. */
    public double metric(Metric metric) {
        return Optional.ofNullable(metrics.get(metric))
                .orElseThrow(() -> new IllegalStateException("the scores have no " + metric.label()));
    }

    /** The rule that combines the losses of chunks; empty if the file does not say. */
    public Optional<PerplexityProtocol> protocol() {
        Object name = conditions.get(TextCondition.PROTOCOL);
        return Arrays.stream(PerplexityProtocol.values())
                .filter(protocol -> protocol.name().toLowerCase(Locale.ROOT).equals(name))
                .findFirst();
    }

    /** Chunks in a batch; 0 if the file does not say. */
    public int batchSize() {
        return conditions.get(TextCondition.BATCH_SIZE) instanceof Long size ? Math.toIntExact(size) : 0;
    }

    /** Writes the file into the folder of the text. */
    public void write(Path folder) throws IOException {
        Map<String, Object> content = new LinkedHashMap<>();
        putMetrics(content, false);
        conditions.forEach((condition, value) -> content.put(condition.label(), value));
        putMetrics(content, true);
        JsonFiles.write(folder.resolve(RunFiles.SCORES), content);
    }

    /** Adds metrics; comparisons with full precision come after the conditions. */
    private void putMetrics(Map<String, Object> content, boolean ofReference) {
        metrics.forEach((metric, value) -> {
            if ((metric.basis() == Metric.Basis.REFERENCE) == ofReference) {
                content.put(metric.label(), value);
            }
        });
    }

    /**
     * Reads the file from the folder of a text.
     *
     * @throws IOException naming the file if it is absent or damaged
     */
    public static Scores read(Path folder) throws IOException {
        Path file = folder.resolve(RunFiles.SCORES);
        JsonNode content = JsonFiles.read(file);
        Map<Metric, Double> metrics = new EnumMap<>(Metric.class);
        for (Metric metric : Metric.values()) {
            JsonNode value = content.path(metric.label());
            if (metric.isOfText() && !value.isMissingNode()) {
                metrics.put(metric, value.asDouble(Double.NaN));
            }
        }
        if (!metrics.containsKey(Metric.PERPLEXITY) || !metrics.containsKey(Metric.LOSS)) {
            throw new IOException(
                    file + ": expected a perplexity and a loss; make it again with --force " + RunFiles.EVALUATE);
        }
        Map<TextCondition, Object> conditions = new EnumMap<>(TextCondition.class);
        for (TextCondition condition : TextCondition.values()) {
            JsonNode value = content.path(condition.label());
            if (!value.isMissingNode()) {
                conditions.put(condition, value.isIntegralNumber() ? (Object) value.longValue() : value.asString(""));
            }
        }
        return new Scores(metrics, conditions);
    }
}
