package dev.ptq.evaluate.task;

import dev.ptq.data.DatasetSplit;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A task: how the documents of a data set are presented and judged, under one profile.
 *
 * @param folder the name of the data, which the parts of a group share
 * @param part whose documents alone are the task's; absent for all
 * @param splits that the task names, with their sizes on the hub
 * @param fewshot the split that examples come from, if the task names one
 * @param firstExamples whether examples are always the first of their split
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
     * The origin of a task.
     *
     * @param dataset on the hub
     * @param config of the data set; empty if it has none
     */
    public record Source(String summary, String paper, String licence, String dataset, String config) {}

    @Override
    public List<Task> tasks() {
        return List.of(this);
    }

    /** Returns a split's location on the hub. */
    DatasetSplit onHub(String split) {
        String config = part.map(Part::config).orElse(source.config());
        return new DatasetSplit(source.dataset(), Optional.of(config).filter(name -> !name.isEmpty()), split);
    }

    /** Returns the split whose documents are scored. */
    public String evaluatedSplit() {
        return splits.containsKey("test") ? "test" : "validation";
    }

    /** Returns the split that examples are taken from. */
    public String exampleSplit() {
        return fewshot.orElseGet(() -> splits.containsKey("train") ? "train" : evaluatedSplit());
    }
}
