package dev.ptq.run;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The process that owns a folder under construction, told by the folder's name to processes of other machines too.
 *
 * <p>Only a process of the same machine, since the same start of it, can look for the owner. The start time tells it
 * from a later process of the same number.
 *
 * @param pid process id
 * @param started when the process started, in units of the system since its own start
 * @param boot the machine's start, and the container's space of process ids
 * @param host name of the machine
 */
record Owner(long pid, long started, String boot, String host) {
    private static final Pattern LABEL =
            Pattern.compile("([0-9]{1,18})-([0-9]{1,18})-([0-9a-f]{1,40})-[0-9a-f]{8}-([A-Za-z0-9._-]{1,32})");

    private static final Owner HERE = new Owner(
            ProcessHandle.current().pid(), started(ProcessHandle.current()).orElse(0L), thisBoot(), thisHost());

    /** This process. */
    static Owner here() {
        return HERE;
    }

    /** A part of a folder's name, another one for each folder. */
    String label() {
        return pid + "-" + started + "-" + boot + "-"
                + UUID.randomUUID().toString().substring(0, 8) + "-" + host;
    }

    /** Reads a {@link #label}; empty if it is none. */
    static Optional<Owner> parse(String label) {
        Matcher parts = LABEL.matcher(label);
        return parts.matches()
                ? Optional.of(new Owner(
                        Long.parseLong(parts.group(1)), Long.parseLong(parts.group(2)), parts.group(3), parts.group(4)))
                : Optional.empty();
    }

    /** Returns whether the process is gone; empty where that cannot be seen from here. */
    Optional<Boolean> dead() {
        if (!host.equals(HERE.host) || !boot.equals(HERE.boot)) {
            return Optional.empty();
        }
        Optional<Long> now =
                ProcessHandle.of(pid).filter(ProcessHandle::isAlive).flatMap(Owner::started);
        return Optional.of(now.isEmpty() || now.get() != started);
    }

    /**
     * The start time of a process. Linux counts it in ticks since the machine's start; in seconds of the clock it would
     * come out differently when the clock is set.
     */
    private static Optional<Long> started(ProcessHandle process) {
        try {
            String line = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
            // the name, in parentheses, may have spaces; the start time is the 20th word behind it
            return Optional.of(
                    Long.parseLong(line.substring(line.lastIndexOf(')') + 2).split(" ", -1)[19]));
        } catch (IOException | IndexOutOfBoundsException | NumberFormatException e) {
            return process.info().startInstant().map(Instant::getEpochSecond); // not Linux
        }
    }

    private static String thisBoot() {
        try {
            String boot =
                    Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
            String space = Files.readSymbolicLink(Path.of("/proc/self/ns/pid")).toString();
            return boot.replaceAll("[^0-9a-f]", "").substring(0, 8) + space.replaceAll("[^0-9]", "");
        } catch (IOException | IndexOutOfBoundsException e) {
            return "0"; // not Linux: the start time alone has to tell
        }
    }

    private static String thisHost() {
        String name;
        try {
            name = InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            name = "unknown";
        }
        String plain = name.replaceAll("[^A-Za-z0-9._-]", "_");
        return plain.substring(0, Math.min(32, plain.length()));
    }
}
