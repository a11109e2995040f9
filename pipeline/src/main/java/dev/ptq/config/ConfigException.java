package dev.ptq.config;

import java.util.List;

/** Wrong user input: every problem found, one per line of the message. */
public class ConfigException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final List<String> problems;
    private final transient List<KeyProblem> keyProblems;

    /**
     * A problem without its position.
     *
     * @param key the last part of the key's path; empty for a problem that is not with one key
     */
    public record KeyProblem(String key, String message) {}

    private ConfigException(List<String> problems, List<KeyProblem> keyProblems) {
        super(String.join("\n", problems));
        this.problems = List.copyOf(problems);
        this.keyProblems = List.copyOf(keyProblems);
    }

    public ConfigException(List<String> problems) {
        this(
                problems,
                problems.stream().map(problem -> new KeyProblem("", problem)).toList());
    }

    public ConfigException(String problem) {
        this(List.of(problem));
    }

    static ConfigException of(List<Problems.Problem> problems) {
        return new ConfigException(
                problems.stream().map(Problems.Problem::text).toList(),
                problems.stream()
                        .map(problem -> new KeyProblem(
                                problem.path().substring(problem.path().lastIndexOf('.') + 1), problem.message()))
                        .toList());
    }

    /** Returns the problems, in the order of their positions. */
    public List<String> problems() {
        return problems;
    }

    /** Returns the same problems by key, for readers of other files who know the key by another name. */
    public List<KeyProblem> keyProblems() {
        return keyProblems;
    }
}
