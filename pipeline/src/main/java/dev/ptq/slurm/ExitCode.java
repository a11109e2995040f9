package dev.ptq.slurm;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How a task ended.
 *
 * @param code of the program
 * @param signal that ended it; 0 if none did
 * @param restarts how often Slurm had started it again
 */
public record ExitCode(int code, int signal, int restarts) {
    private static final Pattern CODE = Pattern.compile("\\bExitCode=([0-9]{1,5}):([0-9]{1,3})");
    private static final Pattern RESTARTS = Pattern.compile("\\bRestarts=([0-9]{1,6})");

    /** Reads a line of {@code scontrol -o show job}. */
    static Optional<ExitCode> parse(String line) {
        Matcher code = CODE.matcher(line);
        Matcher restarts = RESTARTS.matcher(line);
        return code.find()
                ? Optional.of(new ExitCode(
                        Integer.parseInt(code.group(1)),
                        Integer.parseInt(code.group(2)),
                        restarts.find() ? Integer.parseInt(restarts.group(1)) : 0))
                : Optional.empty();
    }
}
