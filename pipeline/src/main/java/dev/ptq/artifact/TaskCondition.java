package dev.ptq.artifact;

import java.util.Locale;

/** What {@code metrics.json} says of a task beside its metrics: what was counted, and under what conditions. */
public enum TaskCondition {
    /** Documents that were evaluated. */
    DOCUMENTS,
    /** Requests that were longer than the model takes and lost their beginning. */
    TRUNCATED,
    /** Requests whose continuation was encoded without its context. */
    ENCODED_ALONE,
    /** Examples before each document. */
    NUM_FEWSHOT,
    /** The number or share of documents that were asked for. */
    LIMIT,
    /** The version of the task's definition. */
    VERSION,
    /** The program whose results are meant to come out. */
    PROFILE,
    /** Peculiarities of other programs that were asked for. */
    QUIRKS;

    /** The name in files. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
