package dev.ptq.report;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.run.Manifest;
import dev.ptq.run.SmallFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/** Turns the directory of a run into a row, as far as its files can be read. */
final class RunFolder {
    private static final String METRICS = RunFiles.METRICS;
    private static final String CONFIG = RunFiles.RESOLVED;
    private static final int LARGEST_CONFIG = 1 << 20;

    private final Path folder;
    private final List<String> problems = new ArrayList<>();

    private interface Reading<T> {
        T read() throws IOException;
    }

    private RunFolder(Path folder) {
        this.folder = folder;
    }

    /** Returns whether it has two of the three files that make a run; the third may be lost. */
    static boolean isRun(Path folder) {
        return Stream.of(Manifest.FILE, METRICS, CONFIG)
                        .filter(file -> Files.exists(folder.resolve(file), LinkOption.NOFOLLOW_LINKS))
                        .count()
                > 1;
    }

    static ResultRow row(String run, Path folder) {
        return new RunFolder(folder).row(run);
    }

    private ResultRow row(String run) {
        Optional<Manifest> manifest = readable(
                () -> Optional.of(Manifest.parse(
                        SmallFile.read(folder.resolve(Manifest.FILE), Manifest.FILE, JsonObject.MOST_BYTES))),
                Optional.empty());
        Map<String, Object> metrics = readable(this::metrics, Map.of());
        FlatConfig config = readable(this::config, FlatConfig.none());
        return new ResultRow(
                run,
                folder,
                Map.of(),
                config,
                manifest.map(found -> found.program().sources()).orElse(Map.of()),
                metrics,
                Map.of(),
                manifest.map(RunFolder::seconds).orElse(OptionalDouble.empty()),
                manifest.map(Manifest::peakMemoryBytes).orElse(OptionalLong.empty()),
                problems.isEmpty() ? ResultRow.DONE : ResultRow.DAMAGED,
                String.join("; ", problems));
    }

    private <T> T readable(Reading<T> reading, T otherwise) {
        try {
            return reading.read();
        } catch (IOException | ConfigException e) {
            problems.add(String.valueOf(e.getMessage()));
            return otherwise;
        }
    }

    private Map<String, Object> metrics() throws IOException {
        Map<String, Object> metrics = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry :
                JsonObject.object(folder.resolve(METRICS)).entrySet()) {
            JsonNode value = entry.getValue();
            if (value.isNumber()) {
                metrics.put(entry.getKey(), value.numberValue());
            } else if (value.isString()) {
                metrics.put(entry.getKey(), value.stringValue());
            } else if (value.isBoolean()) {
                metrics.put(entry.getKey(), value.booleanValue());
            } else if (!value.isNull()) {
                throw new IOException(METRICS + ": " + entry.getKey() + ": expected a number or a word");
            }
        }
        return metrics;
    }

    private FlatConfig config() throws IOException {
        return FlatConfig.parse(
                new String(SmallFile.read(folder.resolve(CONFIG), CONFIG, LARGEST_CONFIG), StandardCharsets.UTF_8),
                CONFIG);
    }

    /** The total time; stages are timed to the millisecond. */
    private static OptionalDouble seconds(Manifest manifest) {
        double sum = manifest.stages().values().stream()
                .filter(Objects::nonNull)
                .mapToDouble(Manifest.StageEntry::seconds)
                .sum();
        return OptionalDouble.of(Math.rint(sum * 1000) / 1000);
    }
}
