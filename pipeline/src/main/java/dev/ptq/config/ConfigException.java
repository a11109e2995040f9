package dev.ptq.config;

import java.util.List;

/** The user's input is wrong: every problem found, one per line of the message. */
public final class ConfigException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final List<String> problems;

    public ConfigException(List<String> problems) {
        super(String.join("\n", problems));
        this.problems = List.copyOf(problems);
    }

    public ConfigException(String problem) {
        this(List.of(problem));
    }

    /** The problems, in the order of the places they are about. */
    public List<String> problems() {
        return problems;
    }
}
