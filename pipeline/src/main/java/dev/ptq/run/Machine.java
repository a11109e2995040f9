package dev.ptq.run;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Stream;

/**
 * The computer a run was made on, without its name or its user's.
 *
 * @param cpu the model, where the system tells
 * @param cores that this process may use
 */
public record Machine(String jvm, String os, Optional<String> cpu, int cores, long memoryBytes) {
    /** Describes the computer this runs on. */
    public static Machine here() {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return new Machine(
                System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version"),
                system.getName() + " " + system.getVersion() + " " + system.getArch(),
                firstValue(Path.of("/proc/cpuinfo"), "model name"),
                system.getAvailableProcessors(),
                system.getTotalMemorySize());
    }

    /** The most memory this process has held so far, where the system tells. */
    static OptionalLong peakMemoryBytes() {
        return firstValue(Path.of("/proc/self/status"), "VmHWM").stream()
                .mapToLong(value -> 1024 * Long.parseLong(value.replace(" kB", "")))
                .findFirst();
    }

    /** The value of the first {@code key : value} line of a file, if there is such a file and line. */
    private static Optional<String> firstValue(Path file, String key) {
        try (Stream<String> lines = Files.lines(file)) {
            return lines.filter(line -> line.startsWith(key))
                    .map(line -> line.substring(line.indexOf(':') + 1).strip())
                    .findFirst();
        } catch (IOException e) {
            return Optional.empty(); // not Linux
        }
    }
}
