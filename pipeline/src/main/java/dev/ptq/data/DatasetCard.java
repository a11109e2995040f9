package dev.ptq.data;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * The description of a data set's files in the head of its {@code README.md}.
 *
 * @param configs by name, as written
 * @param defaultConfig the one used if none is named
 */
record DatasetCard(Map<String, Config> configs, Optional<String> defaultConfig) {
    static final String FILE = "README.md";

    private static final int MOST_BYTES = 8 << 20;

    /**
     * One of the data sets in a folder.
     *
     * @param patterns of the files of each split
     * @param folder of the files, if there are no patterns
     */
    record Config(Map<String, List<String>> patterns, Optional<String> folder) {}

    /**
     * Reads a card.
     *
     * @throws IOException naming the file if its head is no YAML
     */
    static DatasetCard read(Path file) throws IOException {
        if (Files.size(file) > MOST_BYTES) {
            throw new IOException(file + ": expected at most " + (MOST_BYTES >> 20) + " MiB");
        }
        String text;
        try {
            text = Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": expected text in UTF-8", e);
        }
        List<String> lines = text.lines().toList();
        int end = lines.isEmpty() || !lines.get(0).equals("---")
                ? -1
                : lines.subList(1, lines.size()).indexOf("---");
        return of(end < 0 ? null : yaml(String.join("\n", lines.subList(1, end + 1)), file));
    }

    private static @Nullable Object yaml(String head, Path file) throws IOException {
        try {
            return new Load(LoadSettings.builder()
                            .setCodePointLimit(MOST_BYTES)
                            .setAllowDuplicateKeys(true)
                            .build())
                    .loadFromString(head);
        } catch (YamlEngineException | StackOverflowError e) {
            throw new IOException(file + ": its head is not valid YAML: " + e.getMessage(), e);
        }
    }

    private static DatasetCard of(@Nullable Object head) {
        Map<String, Config> configs = new LinkedHashMap<>();
        Optional<String> preset = Optional.empty();
        for (Object each : list(head instanceof Map<?, ?> map ? map.get("configs") : null)) {
            if (each instanceof Map<?, ?> config && config.get("config_name") instanceof String name) {
                configs.put(name, config(config));
                preset = Boolean.TRUE.equals(config.get("default")) ? Optional.of(name) : preset;
            }
        }
        Optional<String> only = configs.size() == 1 ? configs.keySet().stream().findFirst() : Optional.empty();
        return new DatasetCard(
                configs, preset.or(() -> configs.containsKey("default") ? Optional.of("default") : only));
    }

    private static Config config(Map<?, ?> config) {
        Map<String, List<String>> patterns = new LinkedHashMap<>();
        for (Object each : list(config.get("data_files"))) {
            if (each instanceof Map<?, ?> files && files.get("split") instanceof String split) {
                patterns.computeIfAbsent(split, first -> new ArrayList<>()).addAll(texts(files.get("path")));
            } else {
                // files without a split are for training
                List<String> paths = texts(each);
                if (!paths.isEmpty()) {
                    patterns.computeIfAbsent("train", first -> new ArrayList<>())
                            .addAll(paths);
                }
            }
        }
        return new Config(
                patterns, config.get("data_dir") instanceof String folder ? Optional.of(folder) : Optional.empty());
    }

    /** In YAML a single value may stand for a list. */
    private static List<?> list(@Nullable Object value) {
        return value instanceof List<?> list ? list : value == null ? List.of() : List.of(value);
    }

    private static List<String> texts(@Nullable Object value) {
        return list(value).stream()
                .filter(String.class::isInstance)
                .map(String.class::cast)
                .toList();
    }
}
