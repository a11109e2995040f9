package dev.ptq.config;

import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Finds the keys that tell configs apart, see {@link FlatConfig#differences}. */
final class ConfigDifferences {
    /** The key that decides which other keys a table has. */
    private static final String FORMAT = "format";

    private final Collection<FlatConfig> configs;
    private final Set<String> all = new LinkedHashSet<>();
    private final Set<String> shared = new HashSet<>();

    /** For keys that some configs lack: their values in the entries of lists, whatever the entry's name. */
    private final Map<String, Set<Object>> inAnyEntry = new HashMap<>();

    ConfigDifferences(Collection<FlatConfig> configs) {
        this.configs = configs;
        configs.forEach(config -> all.addAll(config.values().keySet()));
        shared.addAll(all);
        configs.forEach(config -> shared.retainAll(config.values().keySet()));
        for (FlatConfig config : configs) {
            config.values().forEach((key, value) -> {
                if (!shared.contains(key)) {
                    config.inAnyEntry(key)
                            .ifPresent(any -> inAnyEntry
                                    .computeIfAbsent(any, absent -> new HashSet<>())
                                    .add(value));
                }
            });
        }
    }

    /** Returns the keys in the order in which they are met. */
    Set<String> keys() {
        return all.stream().filter(this::differs).collect(Collectors.toCollection(LinkedHashSet::new));
    }

    private boolean differs(String key) {
        List<FlatConfig> having = configs.stream()
                .filter(config -> config.values().containsKey(key))
                .toList();
        if (having.stream().map(config -> config.values().get(key)).distinct().count() > 1) {
            return true;
        }
        return !shared.contains(key) && (differsFromOtherEntries(key, having) || isMissed(key, having));
    }

    private boolean differsFromOtherEntries(String key, List<FlatConfig> having) {
        return having.stream()
                .flatMap(config -> config.inAnyEntry(key).stream())
                .anyMatch(any -> inAnyEntry.getOrDefault(any, Set.of()).size() > 1);
    }

    /** Returns whether this key has to report that some configs lack it. */
    private boolean isMissed(String key, List<FlatConfig> having) {
        FlatConfig first = having.get(0);
        String table = first.home(key);
        Set<Object> formats =
                having.stream().map(config -> format(config, table)).collect(Collectors.toSet());
        return configs.stream()
                .filter(config -> !config.values().containsKey(key))
                .anyMatch(without -> {
                    if (first.isNames(key)) {
                        return true;
                    }
                    if (!without.isTable(table)) {
                        return first.isFirst(key)
                                && first.tablesAround(table)
                                        .takeWhile(each -> !without.isTable(each))
                                        .noneMatch(first::isEntry);
                    }
                    Object format = format(without, table);
                    return format.equals("") || formats.contains("") || formats.contains(format);
                });
    }

    /** Returns the format that a table describes; empty text if none. */
    private static Object format(FlatConfig config, String table) {
        return config.values().getOrDefault(FlatConfig.child(table, FORMAT), "");
    }
}
