package dev.ptq.cli;

import dev.ptq.sweep.Program;
import java.io.File;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** This program, for processes that are started by it or in its place. */
final class ThisProgram {
    /** Variables that say where it finds its files. Others, such as tokens, are never written to a file. */
    private static final List<String> PLACES = List.of(
            "PTQ_CACHE",
            "PTQ_CHECKPOINT_SECONDS",
            "HF_HOME",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "XDG_CACHE_HOME");

    private ThisProgram() {}

    /** Returns it with the Java machine and the options it runs with, agents of its own left out. */
    static Program program() {
        List<String> java = new ArrayList<>();
        java.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(option -> !option.startsWith("-agent") && !option.startsWith("-javaagent"))
                .forEach(java::add);
        List<Path> classPath = Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !entry.isEmpty())
                .map(entry -> Path.of(entry).toAbsolutePath().normalize())
                .toList();
        return new Program(java, classPath, Ptq.class.getName());
    }

    /** Returns the environment in which another machine does the same. */
    static Map<String, String> environment() {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("PTQ_COMMIT", Version.commit());
        environment.put("OMP_WAIT_POLICY", "passive"); // as scripts/environment says
        environment.put("LC_ALL", "C.UTF-8");
        for (String name : PLACES) {
            String value = System.getenv(name);
            if (value != null) {
                environment.put(name, value);
            }
        }
        return environment;
    }
}
