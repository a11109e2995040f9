package dev.ptq.evaluate.task;

import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.TaskCondition;
import dev.ptq.data.Digests;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** The results of a run's tasks. */
public final class TaskResults {
    private final TasksSettings settings;
    private final List<TaskResult> measured;

    private TaskResults(TasksSettings settings, List<TaskResult> measured) {
        this.settings = settings;
        this.measured = measured;
    }

    /**
     * Computes the metrics.
     *
     * @param answered the documents of all tasks, task by task
     * @throws IOException if a metric is not a number
     */
    static TaskResults of(TasksSettings settings, List<TaskEvaluation.EncodedTask> tasks, List<ScoredDocument> answered)
            throws IOException {
        List<TaskResult> byTask = new ArrayList<>();
        int from = 0;
        for (TaskEvaluation.EncodedTask task : tasks) {
            List<ScoredDocument> own = answered.subList(from, from + task.documents());
            StringBuilder hashes = new StringBuilder();
            own.forEach(one -> hashes.append(Sample.hashes(one.document()).joined()));
            byTask.add(TaskResult.of(task, own, settings.bootstrap(), Digests.hexOfText(hashes.toString())));
            from += task.documents();
        }
        Iterator<TaskResult> next = byTask.iterator();
        List<TaskResult> measured = new ArrayList<>();
        settings.nodes().forEach(node -> measured.add(measured(node, next)));
        return new TaskResults(settings, measured);
    }

    private static TaskResult measured(TaskNode node, Iterator<TaskResult> tasks) {
        if (!(node instanceof TaskGroup group)) {
            return tasks.next();
        }
        List<TaskResult> members = new ArrayList<>();
        group.members().forEach(member -> members.add(measured(member, tasks)));
        return TaskResult.of(group, members);
    }

    TasksSettings settings() {
        return settings;
    }

    /** Returns the results in the order of the settings. */
    List<TaskResult> measured() {
        return measured;
    }

    /** Returns tasks, groups and all members of groups, each group before its members. */
    List<TaskResult> all() {
        List<TaskResult> all = new ArrayList<>();
        measured.forEach(one -> one.collect(all));
        return all;
    }

    /**
     * Returns flat names to numbers and words: {@code arc_easy/acc}, {@code arc_easy/acc_stderr}, {@code
     * arc_easy/version}.
     */
    public Map<String, Object> metrics() {
        Map<String, Object> metrics = new LinkedHashMap<>();
        for (TaskResult one : measured) {
            addMetrics(one, metrics);
            addConditions(one, metrics);
            List<TaskResult> all = new ArrayList<>();
            one.members().forEach(member -> member.collect(all));
            all.forEach(member -> addMetrics(member, metrics));
        }
        return metrics;
    }

    private void addMetrics(TaskResult one, Map<String, Object> metrics) {
        String name = one.node().name();
        one.values().forEach((metric, value) -> {
            MetricName.OfTask own = new MetricName.OfTask(name, metric.label(settings.profile()));
            metrics.put(own.key(), value.value());
            value.error().ifPresent(error -> metrics.put(own.error().key(), error));
        });
        put(metrics, name, TaskCondition.DOCUMENTS, one.documents());
        if (one.truncated() > 0) {
            put(metrics, name, TaskCondition.TRUNCATED, one.truncated());
        }
        if (one.encodedAlone() > 0) {
            put(metrics, name, TaskCondition.ENCODED_ALONE, one.encodedAlone());
        }
    }

    /** Adds the conditions: rows of a table may be compared if these are equal. */
    private void addConditions(TaskResult one, Map<String, Object> metrics) {
        String name = one.node().name();
        put(metrics, name, TaskCondition.NUM_FEWSHOT, settings.numFewshot());
        settings.limit().ifPresent(limit -> put(metrics, name, TaskCondition.LIMIT, limit));
        put(metrics, name, TaskCondition.VERSION, version(one.node()));
        put(metrics, name, TaskCondition.PROFILE, settings.profile().label());
        if (!settings.quirks().isEmpty()) {
            List<String> quirks = settings.quirks().stream().map(Quirk::label).toList();
            put(metrics, name, TaskCondition.QUIRKS, String.join(" ", quirks));
        }
    }

    private static void put(Map<String, Object> metrics, String task, TaskCondition condition, Object value) {
        metrics.put(new MetricName.OfTask(task, condition).key(), value);
    }

    static Object version(TaskNode node) {
        return node instanceof TaskGroup group ? group.version() : ((Task) node).version();
    }

    /** Returns the metrics of the tasks and groups asked for by name, in one line. */
    public String headline() {
        List<String> parts = new ArrayList<>();
        for (TaskResult one : measured) {
            one.values()
                    .forEach((metric, value) -> parts.add(String.format(
                            Locale.ROOT,
                            "%s %s %.4f",
                            one.node().name(),
                            metric.label(settings.profile()),
                            value.value())));
            parts.add(one.documents() + " documents");
        }
        return String.join(", ", parts);
    }

    /** Returns the table of the harness, as Markdown. */
    public String table() {
        return HarnessTable.render(this);
    }

    /**
     * Returns a result file in the harness's layout.
     *
     * @param config goes into its {@code config}: the model's name, its type and such
     * @param identity goes beside: date, versions, tokens of the tokenizer and such
     */
    public ObjectNode harness(ObjectNode config, ObjectNode identity) {
        return HarnessJson.of(this, config, identity);
    }

    /**
     * Returns a result file in the layout that LQER's tools read.
     *
     * @param model its name
     */
    public ObjectNode lqer(String model) {
        return LqerJson.of(this, model);
    }
}
