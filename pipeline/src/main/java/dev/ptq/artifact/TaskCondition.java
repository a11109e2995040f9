package dev.ptq.artifact;

import java.util.Locale;

/** The entries of a task in {@code metrics.json} besides its metrics: counts and conditions. */
public enum TaskCondition {
    /** Documents that were evaluated. */
    DOCUMENTS,
    /** Requests that were longer than the model allows and lost their beginning. */
    TRUNCATED,
    /** Requests whose continuation was encoded without its context. */
    ENCODED_ALONE,
    /** Examples before each document. */
    NUM_FEWSHOT,
    /** The requested number or share of documents. */
    LIMIT,
    /** The version of the task's definition. */
    VERSION,
    /** The program whose results are to be reproduced. */
    PROFILE,
    /** Quirks of other programs that were asked for. */
    QUIRKS;

    /** The name in files. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
