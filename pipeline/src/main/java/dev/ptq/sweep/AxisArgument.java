package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.Position;
import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.ExperimentKeys;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Reads the axes of a command line, {@code --axis KEY=VALUE,VALUE}. */
final class AxisArgument {
    private static final String OPTION = "--axis ";

    private final Path config;
    private final List<String> overrides;
    private final List<String> problems = new ArrayList<>();

    private AxisArgument(Path config, List<String> overrides) {
        this.config = config;
        this.overrides = overrides;
    }

    /**
     * Reads axes.
     *
     * @param axes {@code key=value,value}; the key may be the last parts of one that only one key of the config ends in
     * @param config the base, with all of its defaults
     * @param overrides {@code key=value} for the base
     * @return lists of values, by whole keys
     * @throws ConfigException if one cannot be read, or its key fits none or several; then these are named
     */
    static List<Assignment> parse(List<String> axes, Path config, List<String> overrides) throws IOException {
        AxisArgument reader = new AxisArgument(config, overrides);
        List<Assignment> parsed = new ArrayList<>();
        Set<List<String>> seen = new HashSet<>();
        for (String axis : axes) {
            Optional<Assignment> each = reader.parse(axis);
            if (each.isPresent() && !seen.add(each.get().path())) {
                reader.problems.add(OPTION + axis + ": " + each.get().key() + " is on another axis already");
            }
            each.ifPresent(parsed::add);
        }
        if (!reader.problems.isEmpty()) {
            throw new ConfigException(reader.problems);
        }
        return parsed;
    }

    private Optional<Assignment> parse(String axis) throws IOException {
        Optional<List<String>> path = Assignment.pathOf(axis);
        if (path.isEmpty() || !Assignment.isOverride(axis)) {
            problems.add(OPTION + axis + ": expected KEY=VALUE,VALUE");
            return Optional.empty();
        }
        Optional<List<Object>> values = Assignment.values(Assignment.valueText(axis));
        if (values.isEmpty()) {
            problems.add(
                    OPTION + axis + ": expected values as in a TOML file with commas between them, text in quotes");
            return Optional.empty();
        }
        return whole(axis, path.get())
                .map(key -> new Assignment(key, values.get(), Position.ofArgument(OPTION + axis)));
    }

    /** Returns the whole key that one of the command line stands for. */
    private Optional<List<String>> whole(String axis, List<String> path) throws IOException {
        if (ExperimentKeys.sections().contains(path.get(0))) {
            return Optional.of(path);
        }
        Experiment base = Experiment.read(ConfigFiles.read(config), overrides, List.of());
        Set<String> keys = FlatConfig.parse(TomlWriter.write(base.resolved()), config.toString())
                .values()
                .keySet();
        String end = "." + TomlWriter.key(path);
        List<String> fitting = keys.stream().filter(key -> key.endsWith(end)).toList();
        if (fitting.size() == 1) {
            return Assignment.path(fitting.get(0));
        }
        String key = TomlWriter.key(path);
        String hint = Spelling.hint(Spelling.closest(
                key,
                keys.stream()
                        .map(each -> each.substring(each.lastIndexOf('.') + 1))
                        .toList()));
        problems.add(OPTION + axis + ": "
                + (fitting.isEmpty()
                        ? "no key of " + config + " ends in " + key + (hint.isEmpty() ? "; write the whole key" : hint)
                        : key + " fits several keys: " + String.join(", ", fitting)
                                + "; write as much of one as only it has"));
        return Optional.empty();
    }
}
