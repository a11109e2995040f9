package dev.ptq.track;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.run.Manifest;
import dev.ptq.run.SmallFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A run as a tracking server knows runs.
 *
 * @param name of its directory
 * @param sweep the name of the sweep's directory, if it is a point of one
 * @param parameters the values of its config by dotted key
 * @param metrics by name
 * @param files that are sent as they are
 */
public record FinishedRun(
        String name,
        Optional<String> sweep,
        Manifest manifest,
        Map<String, String> parameters,
        Map<String, Double> metrics,
        List<Path> files) {

    /**
     * Finds the directories of runs in folders and below them. Links are not followed; caches and unfinished work are
     * skipped.
     *
     * @throws ConfigException if a folder does not exist
     */
    public static List<Path> in(List<Path> folders) throws IOException {
        List<Path> found = new ArrayList<>();
        for (Path folder : folders) {
            if (!Files.isDirectory(folder)) {
                throw new ConfigException(folder + ": no such folder");
            }
            Files.walkFileTree(folder, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                    String name = String.valueOf(directory.getFileName());
                    if (!directory.equals(folder) && (name.startsWith(".") || name.endsWith(".partial"))) {
                        return FileVisitResult.SKIP_SUBTREE;
                    }
                    if (!Files.isRegularFile(directory.resolve(Manifest.FILE), LinkOption.NOFOLLOW_LINKS)) {
                        return FileVisitResult.CONTINUE;
                    }
                    found.add(directory);
                    return FileVisitResult.SKIP_SUBTREE;
                }
            });
        }
        found.sort(null);
        return found;
    }

    /** Reads a run, which anyone may have written. */
    public static FinishedRun read(Path directory) throws IOException {
        Manifest manifest = Manifest.read(directory);
        if (!manifest.fingerprint().matches("[0-9a-f]{64}")) {
            throw new IOException(directory.resolve(Manifest.FILE) + ": expected a fingerprint of 64 digits");
        }
        Path absolute = directory.toAbsolutePath().normalize();
        Path outer = absolute.resolveSibling("");
        boolean point = Files.isRegularFile(outer.resolve(RunFiles.SWEEP), LinkOption.NOFOLLOW_LINKS);
        return new FinishedRun(
                String.valueOf(absolute.getFileName()),
                point ? Optional.of(String.valueOf(outer.getFileName())) : Optional.empty(),
                manifest,
                parameters(directory.resolve(RunFiles.RESOLVED)),
                metrics(directory.resolve(RunFiles.METRICS)),
                files(directory));
    }

    private static Map<String, String> parameters(Path file) throws IOException {
        Map<String, String> parameters = new LinkedHashMap<>();
        try {
            FlatConfig.parse(new String(SmallFile.read(file), StandardCharsets.UTF_8), file.toString())
                    .values()
                    .forEach((key, value) -> parameters.put(key, String.valueOf(value)));
        } catch (ConfigException e) {
            throw new IOException(e.getMessage(), e);
        }
        return parameters;
    }

    private static Map<String, Double> metrics(Path file) throws IOException {
        Map<String, Double> metrics = new LinkedHashMap<>();
        try {
            for (Map.Entry<String, JsonNode> entry :
                    JsonMapper.shared().readTree(SmallFile.read(file)).properties()) {
                if (entry.getValue().isNumber()) {
                    metrics.put(entry.getKey(), entry.getValue().asDouble());
                }
            }
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        return metrics;
    }

    /** The small files of the run itself; not those of its stages. */
    private static List<Path> files(Path directory) throws IOException {
        List<Path> small = new ArrayList<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.sorted().toList()) {
                if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && Files.size(file) <= SmallFile.MOST_BYTES) {
                    small.add(file);
                }
            }
        }
        return small;
    }
}
