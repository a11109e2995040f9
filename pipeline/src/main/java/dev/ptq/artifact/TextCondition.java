package dev.ptq.artifact;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The conditions under which a text was scored, in the order of {@code scores.json}. */
public enum TextCondition {
    /** A caveat that belongs beside every figure. */
    NOTE,
    /** The name of the text in configs. */
    DATASET,
    /** Where the start token is placed. */
    BOS,
    /** The digest of the text. */
    TEXT_SHA256,
    /** The digest of the tokenizer. */
    TOKENIZER_SHA256,
    /** How the text is cut and losses are averaged. */
    PROTOCOL,
    /** Tokens in a chunk. */
    SEQ_LEN,
    /** Chunks in a batch. */
    BATCH_SIZE,
    /** Chunks that were scored. */
    CHUNKS,
    /** Tokens that were scored. */
    TOKENS;

    /** The conditions that {@code metrics.json} repeats for the experiment itself, in its order. */
    public static final List<TextCondition> IN_METRICS = List.of(DATASET, PROTOCOL, BOS, SEQ_LEN, CHUNKS, TOKENS);

    /** The name in files. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Returns the condition with that name. */
    static Optional<TextCondition> labelled(String label) {
        return Arrays.stream(values())
                .filter(condition -> condition.label().equals(label))
                .findFirst();
    }
}
