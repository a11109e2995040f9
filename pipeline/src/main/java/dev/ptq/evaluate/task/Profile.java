package dev.ptq.evaluate.task;

import dev.ptq.config.Choices;

/** The program whose numbers are to be reproduced. Differences in a task's texts are in the task's file. */
public enum Profile {
    /** The EleutherAI harness since version 0.4. */
    HARNESS("harness-0.4", "the EleutherAI harness as it is"),
    /**
     * Version 0.3 of the harness, which LQER's code runs: documents in shuffled order, no special tokens, the
     * end-of-text token before a text.
     */
    LQER("lqer-0.3", "the harness that LQER's code runs, see below");

    private final String label;
    private final String text;

    Profile(String label, String text) {
        this.label = label;
        this.text = text;
    }

    /** The name in configs and results. */
    public String label() {
        return label;
    }

    static Choices<Profile> choices() {
        return Choices.of(values(), Profile::label, profile -> profile.text);
    }
}
