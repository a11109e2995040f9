package dev.ptq.evaluate.task;

import dev.ptq.data.DatasetSplit;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How the documents of a data set are asked and judged, by one profile.
 *
 * @param folder the name of the data, which the parts of a group share
 * @param part whose documents alone are the task's; all where absent
 * @param splits that the task names, and the documents that each has on the hub
 * @param fewshot the split that examples come from, where the task names one
 * @param firstExamples whether examples are the first of their split, always the same
 * @param version by which results are told apart
 */
public record Task(
        String name,
        String folder,
        Optional<Part> part,
        Source source,
        Map<String, Integer> splits,
        Optional<String> fewshot,
        boolean firstExamples,
        double version,
        Scoring scoring,
        List<TaskMetric> metrics,
        PromptTemplate wording)
        implements TaskNode {
    /**
     * The documents with this value in a field.
     *
     * @param config of the data set on the hub, which has the documents of all parts
     */
    public record Part(String field, String value, String config) {}

    /**
     * Where a task comes from.
     *
     * @param dataset on the hub
     * @param config of the data set; empty where it has none
     */
    public record Source(String summary, String paper, String licence, String dataset, String config) {}

    @Override
    public List<Task> tasks() {
        return List.of(this);
    }

    /** Where a split is on the hub. */
    DatasetSplit onHub(String split) {
        String config = part.map(Part::config).orElse(source.config());
        return new DatasetSplit(source.dataset(), Optional.of(config).filter(name -> !name.isEmpty()), split);
    }

    /** The split whose documents are scored. */
    public String evaluatedSplit() {
        return splits.containsKey("test") ? "test" : "validation";
    }

    /** The split that examples are taken from. */
    public String exampleSplit() {
        return fewshot.orElseGet(() -> splits.containsKey("train") ? "train" : evaluatedSplit());
    }
}
