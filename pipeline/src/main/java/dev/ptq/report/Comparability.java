package dev.ptq.report;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.TaskCondition;
import dev.ptq.artifact.TextCondition;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Decides which results of different runs may stand together, in a column, a chart, a mean or on a Pareto front: those
 * of one text or task under the same conditions. What was measured otherwise gets another name, which says how:
 * {@code perplexity/wikitext2} becomes {@code perplexity/wikitext2 (seq_len 512)} and {@code perplexity/wikitext2
 * (seq_len 2048)}. Only conditions that tell runs apart are named, and a run that does not say is taken as equal.
 */
final class Comparability {
    private static final String UNKNOWN = "unknown";
    private static final String DATA = "data";
    private static final int DIGITS = 8;

    private final List<ResultRow> rows;
    private final List<String> notes = new ArrayList<>();

    /**
     * A condition.
     *
     * @param name for conditions whose values do not speak for themselves
     * @param value of a run; none if it does not say
     * @param ofTokens whether it matters for metrics by token only, not by word and byte
     */
    private record Condition(String name, BiFunction<ResultRow, String, Optional<String>> value, boolean ofTokens) {
        String words(Optional<String> found) {
            if (name.endsWith("s")) {
                return found.orElse(UNKNOWN) + " " + name;
            }
            return (name.isEmpty() ? "" : name + " ") + found.orElse(UNKNOWN);
        }
    }

    private static final List<Condition> OF_TEXTS = List.of(
            new Condition(DATA, Comparability::textDigest, false),
            new Condition("tokenizer", (row, text) -> digest(row.sources().get("tokenizer")), true),
            ofText("", TextCondition.PROTOCOL, false),
            ofText("seq_len", TextCondition.SEQ_LEN, false),
            ofText("BOS", TextCondition.BOS, false),
            ofText("chunks", TextCondition.CHUNKS, true),
            ofText("tokens", TextCondition.TOKENS, true));

    private static final List<Condition> OF_TASKS = List.of(
            ofTask("shots", TaskCondition.NUM_FEWSHOT),
            ofTask("limit", TaskCondition.LIMIT),
            ofTask("documents", TaskCondition.DOCUMENTS),
            ofTask("profile", TaskCondition.PROFILE),
            ofTask("quirks", TaskCondition.QUIRKS),
            ofTask("version", TaskCondition.VERSION),
            new Condition(DATA, Comparability::taskDigest, false));

    private Comparability(List<ResultRow> rows) {
        this.rows = rows;
    }

    /** Rows whose equal names are comparable. */
    record Separated(List<ResultRow> rows, List<String> notes) {}

    /** Renames what must not stand together. */
    static Separated separated(List<ResultRow> rows) {
        Comparability comparability = new Comparability(rows);
        return new Separated(comparability.renamed(), comparability.notes);
    }

    private static Condition ofText(String name, TextCondition condition, boolean ofTokens) {
        return new Condition(name, (row, text) -> shown(row, new MetricName.Condition(text, condition)), ofTokens);
    }

    private static Condition ofTask(String name, TaskCondition condition) {
        return new Condition(name, (row, task) -> ofTaskOrGroup(row, task, condition), false);
    }

    /** The parts of a group have its conditions, but for their documents, and begin with its name. */
    private static Optional<String> ofTaskOrGroup(ResultRow row, String task, TaskCondition condition) {
        String name = task;
        Optional<String> found = shown(row, new MetricName.OfTask(name, condition));
        while (found.isEmpty() && condition != TaskCondition.DOCUMENTS && name.indexOf('_') > 0) {
            name = name.substring(0, name.lastIndexOf('_'));
            found = shown(row, new MetricName.OfTask(name, condition));
        }
        return found;
    }

    /** Returns a condition as words; whole numbers alike, however a file writes them. */
    private static Optional<String> shown(ResultRow row, MetricName name) {
        Object value = row.metrics().get(name.key());
        if (value instanceof Number number && number.doubleValue() == Math.rint(number.doubleValue())) {
            return Optional.of(String.valueOf(number.longValue()));
        }
        return Optional.ofNullable(value).map(found -> found.toString().replace('/', ' '));
    }

    private static Optional<String> textDigest(ResultRow row, String text) {
        Object label = row.metrics().get(new MetricName.Condition(text, TextCondition.DATASET).key());
        return label != null && row.sources().get("texts") instanceof Map<?, ?> texts
                ? digest(texts.get(label))
                : Optional.empty();
    }

    private static Optional<String> taskDigest(ResultRow row, String task) {
        return tasks(row).flatMap(entry -> digest(entry.getValue()));
    }

    /** The data of all tasks of a run: their names, and one digest. */
    private static Optional<Map.Entry<String, Object>> tasks(ResultRow row) {
        return row.sources().get("tasks") instanceof Map<?, ?> tasks && tasks.size() == 1
                ? tasks.entrySet().stream()
                        .findFirst()
                        .map(entry -> Map.entry(String.valueOf(entry.getKey()), (Object) entry.getValue()))
                : Optional.empty();
    }

    private static Optional<String> digest(@Nullable Object source) {
        if (!(source instanceof Map<?, ?> entry) || entry.get("sha256") == null) {
            return Optional.empty();
        }
        return Optional.of(
                entry.get("sha256") instanceof String one
                        ? one.substring(0, Math.min(DIGITS, one.length()))
                        : Integer.toHexString(entry.get("sha256").hashCode()));
    }

    private List<ResultRow> renamed() {
        List<Map<String, String>> names = new ArrayList<>();
        rows.forEach(row -> names.add(new LinkedHashMap<>()));
        subjects()
                .forEach((subject, metrics) -> rename(subject, metrics, subject.isText() ? OF_TEXTS : OF_TASKS, names));
        List<ResultRow> renamed = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            renamed.add(names.get(i).isEmpty() ? rows.get(i) : rows.get(i).renamed(names.get(i)));
        }
        return renamed;
    }

    /** Returns the names of all metrics about each text and task. */
    private Map<MetricName.Subject, Set<MetricName>> subjects() {
        Map<MetricName.Subject, Set<MetricName>> subjects = new LinkedHashMap<>();
        Set<String> seen = new HashSet<>();
        for (ResultRow row : rows) {
            for (String key : row.metrics().keySet()) {
                if (seen.add(key)) {
                    MetricName name = MetricName.parse(key);
                    name.subject()
                            .ifPresent(subject -> subjects.computeIfAbsent(subject, any -> new LinkedHashSet<>())
                                    .add(name));
                }
            }
        }
        return subjects;
    }

    private void rename(
            MetricName.Subject subject,
            Set<MetricName> metrics,
            List<Condition> conditions,
            List<Map<String, String>> names) {
        List<ResultRow> having = rows.stream()
                .filter(row -> metrics.stream().anyMatch(name -> row.metrics().containsKey(name.key())))
                .toList();
        List<Condition> telling = telling(subject, having, conditions);
        if (telling.isEmpty()) {
            return;
        }
        Map<String, Integer> counts = new TreeMap<>();
        for (int i = 0; i < rows.size(); i++) {
            ResultRow row = rows.get(i);
            String byToken = words(subject, row, telling, true);
            String byWord = words(subject, row, telling, false);
            boolean isThere = false;
            for (MetricName metric : metrics) {
                if (row.metrics().containsKey(metric.key())) {
                    isThere = true;
                    boolean isByWord = metric.measure()
                            .filter(measure -> measure.basis() == Metric.Basis.WORDS_AND_BYTES)
                            .isPresent();
                    String words = isByWord ? byWord : byToken;
                    if (!words.isEmpty()) {
                        names.get(i)
                                .put(
                                        metric.key(),
                                        metric.about(subject.name() + " (" + words + ")")
                                                .key());
                    }
                }
            }
            if (isThere) {
                counts.merge(byToken, 1, Integer::sum);
            }
        }
        notes.add(subject.name() + " was measured in several ways, which do not stand together: "
                + counts.entrySet().stream()
                        .map(entry ->
                                entry.getKey() + " (" + entry.getValue() + (entry.getValue() == 1 ? " run)" : " runs)"))
                        .collect(Collectors.joining("; ")));
    }

    private static String words(MetricName.Subject subject, ResultRow row, List<Condition> telling, boolean byToken) {
        return telling.stream()
                .filter(condition -> byToken || !condition.ofTokens())
                .map(condition -> condition.words(condition.value().apply(row, subject.name())))
                .collect(Collectors.joining(", "));
    }

    /** Returns the conditions that tell runs apart which those before them do not. */
    private static List<Condition> telling(
            MetricName.Subject subject, List<ResultRow> having, List<Condition> conditions) {
        boolean isOneList = having.stream()
                        .flatMap(row -> tasks(row).stream())
                        .map(Map.Entry::getKey)
                        .distinct()
                        .count()
                < 2;
        List<Condition> telling = new ArrayList<>();
        for (Condition condition : conditions) {
            if (!subject.isText() && condition.name().equals(DATA) && !isOneList) {
                continue; // digests of other tasks say nothing about this one
            }
            Map<String, Set<String>> values = new HashMap<>();
            for (ResultRow row : having) {
                condition
                        .value()
                        .apply(row, subject.name())
                        .ifPresent(value -> values.computeIfAbsent(
                                        words(subject, row, telling, true), any -> new HashSet<>())
                                .add(value));
            }
            if (values.values().stream().anyMatch(own -> own.size() > 1)) {
                telling.add(condition);
            }
        }
        return telling;
    }
}
