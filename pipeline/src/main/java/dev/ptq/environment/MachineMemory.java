package dev.ptq.environment;

import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The memory that this process may count on. */
public final class MachineMemory {
    /** The variable that says it, in the words of Slurm's {@code --mem}. */
    public static final String VARIABLE = "PTQ_MEMORY";

    private static final Pattern SIZE = Pattern.compile("0*([1-9][0-9]{0,8})([KMGT]?)");
    private static final String UNITS = "KMGT";

    private MachineMemory() {}

    /** Returns {@code PTQ_MEMORY} in bytes, but never more than the machine or container has. */
    public static long bytes() {
        return Math.min(bytes(System.getenv(VARIABLE)).orElse(Long.MAX_VALUE), machine());
    }

    /** What is wrong with {@code PTQ_MEMORY}, if anything is; then it counts as left out. */
    public static Optional<String> problem() {
        String given = System.getenv(VARIABLE);
        return given == null || bytes(given).isPresent()
                ? Optional.empty()
                : Optional.of(VARIABLE + ": expected a number with K, M, G or T, such as 32G, got '" + given + "'");
    }

    /** Reads a size in mebibytes, or in the unit behind it; empty if it is none. */
    static Optional<Long> bytes(@Nullable String given) {
        Matcher matcher = SIZE.matcher(given == null ? "" : given.toUpperCase(Locale.ROOT));
        if (!matcher.matches()) {
            return Optional.empty();
        }
        int power = matcher.group(2).isEmpty() ? 2 : UNITS.indexOf(matcher.group(2)) + 1;
        return Optional.of(Long.parseLong(matcher.group(1)) << (10 * power));
    }

    private static long machine() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean machine
                ? machine.getTotalMemorySize()
                : Runtime.getRuntime().maxMemory();
    }
}
