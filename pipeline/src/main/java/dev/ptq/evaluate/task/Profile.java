package dev.ptq.evaluate.task;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** The program whose numbers are to be reproduced. What differs in a task's texts is in the task's file. */
public enum Profile {
    /** The EleutherAI harness since version 0.4. */
    HARNESS("harness-0.4"),
    /**
     * The harness of version 0.3 that LQER's code runs: documents in shuffled order, no special tokens, the end-of-text
     * token before a text.
     */
    LQER("lqer-0.3");

    private final String label;

    Profile(String label) {
        this.label = label;
    }

    /** The name in configs and results. */
    public String label() {
        return label;
    }

    static Map<String, Profile> byLabel() {
        Map<String, Profile> profiles = new LinkedHashMap<>();
        Arrays.stream(values()).forEach(profile -> profiles.put(profile.label(), profile));
        return profiles;
    }
}
