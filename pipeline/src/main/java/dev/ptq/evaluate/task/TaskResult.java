package dev.ptq.evaluate.task;

import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * The metrics of a task or a group.
 *
 * @param members of a group
 * @param available documents that the data has
 * @param truncated requests that lost their beginning
 * @param encodedAlone requests whose continuation was encoded without its context
 * @param hash over the prompts, see {@link Sample#hashes}; empty for a group
 */
record TaskResult(
        TaskNode node,
        List<TaskResult> members,
        int documents,
        int available,
        int truncated,
        int encodedAlone,
        String hash,
        Map<TaskMetric, Value> values) {
    /**
     * A metric.
     *
     * @param error the standard error, if there is one
     */
    record Value(double value, OptionalDouble error) {}

    /**
     * Computes the metrics of a task's documents.
     *
     * @throws IOException if a metric is not a number
     */
    static TaskResult of(TaskEvaluation.EncodedTask encoded, List<ScoredDocument> answered, int resamples, String hash)
            throws IOException {
        Map<TaskMetric, Value> values = new EnumMap<>(TaskMetric.class);
        for (TaskMetric metric : encoded.task().metrics()) {
            double[] items =
                    answered.stream().mapToDouble(one -> one.item(metric)).toArray();
            double[] weights =
                    answered.stream().mapToDouble(one -> one.weight(metric)).toArray();
            Value value = Statistics.value(metric.aggregation(), items, weights, resamples);
            if (Double.isNaN(value.value())) {
                throw new IOException(encoded.task().name() + ": " + metric.label(Profile.HARNESS) + " is NaN over "
                        + answered.size() + " documents");
            }
            values.put(metric, value);
        }
        return new TaskResult(
                encoded.task(),
                List.of(),
                answered.size(),
                encoded.available(),
                encoded.truncated(),
                encoded.encodedAlone(),
                hash,
                values);
    }

    /** Computes the metrics of a group: means over the documents of all members. */
    static TaskResult of(TaskGroup group, List<TaskResult> members) {
        List<TaskResult> tasks = new ArrayList<>();
        members.forEach(member -> member.collect(tasks));
        tasks.removeIf(one -> one.node() instanceof TaskGroup);
        Map<TaskMetric, Value> values = new EnumMap<>(TaskMetric.class);
        int[] sizes = tasks.stream().mapToInt(TaskResult::documents).toArray();
        for (TaskMetric metric : tasks.get(0).values().keySet()) {
            List<Value> own =
                    tasks.stream().map(task -> task.values().get(metric)).toList();
            values.put(metric, Statistics.pooled(own, sizes));
        }
        return new TaskResult(
                group,
                members,
                members.stream().mapToInt(TaskResult::documents).sum(),
                members.stream().mapToInt(TaskResult::available).sum(),
                members.stream().mapToInt(TaskResult::truncated).sum(),
                members.stream().mapToInt(TaskResult::encodedAlone).sum(),
                "",
                values);
    }

    /** Adds this result and all its members, at every level. */
    void collect(List<TaskResult> all) {
        all.add(this);
        members.forEach(member -> member.collect(all));
    }
}
