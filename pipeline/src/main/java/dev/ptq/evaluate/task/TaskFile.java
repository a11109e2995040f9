package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigTable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Reads a task's file. Table {@code lqer} holds what profile {@code lqer-0.3} has instead, and is there if it has it. */
final class TaskFile {
    private final String name;
    private final ConfigTable table;
    private final Optional<ConfigTable> older;
    private final String summary;

    TaskFile(String name, ConfigTable table) {
        this.name = name;
        this.table = table;
        this.older = table.table("lqer");
        this.summary = table.string("summary");
    }

    String summary() {
        return summary;
    }

    /** The task or group, where the profile has it. */
    Optional<TaskNode> node(Profile profile) {
        if (profile == Profile.LQER && older.isEmpty()) {
            return Optional.empty();
        }
        ConfigTable dataset = table.requiredTable("dataset");
        Task whole = new Task(
                name,
                name,
                Optional.empty(),
                new Task.Source(
                        summary,
                        table.string("paper"),
                        table.string("licence"),
                        dataset.string("path"),
                        dataset.string("name", "")),
                numbers(table.requiredTable("splits")),
                table.optionalString("fewshot"),
                table.choice("sampler", Map.of("random", false, "first", true), "random"),
                at("version", profile).decimal("version", 0, 100),
                table.choice("scoring", byLabel(Scoring.values())),
                table.strings("metrics").stream().map(TaskMetric::named).toList(),
                wording(profile));
        return Optional.of(
                table.table("group").map(group -> group(whole, group)).orElse(whole));
    }

    /**
     * Ends the reading.
     *
     * @throws dev.ptq.config.ConfigException if something is wrong in the file
     */
    void finish() {
        table.finish();
    }

    private TaskNode group(Task whole, ConfigTable group) {
        String field = group.string("field");
        String version = group.string("version");
        ConfigTable parts = group.requiredTable("parts");
        List<TaskNode> members = new ArrayList<>();
        for (String part : parts.keys()) {
            List<TaskNode> tasks = new ArrayList<>();
            numbers(parts.requiredTable(part)).forEach((value, size) -> tasks.add(part(whole, field, value, size)));
            members.add(new TaskGroup(name + "_" + part, version, tasks));
        }
        return new TaskGroup(name, version, members);
    }

    private Task part(Task whole, String field, String value, int size) {
        Map<String, Integer> splits = new LinkedHashMap<>(whole.splits());
        splits.put(whole.evaluatedSplit(), size);
        Task.Source source = whole.source();
        return new Task(
                name + "_" + value,
                name,
                Optional.of(new Task.Part(field, value, whole.source().config())),
                new Task.Source(source.summary(), source.paper(), source.licence(), source.dataset(), value),
                splits,
                whole.fewshot(),
                whole.firstExamples(),
                whole.version(),
                whole.scoring(),
                whole.metrics(),
                whole.wording());
    }

    private static Map<String, Integer> numbers(ConfigTable table) {
        Map<String, Integer> numbers = new LinkedHashMap<>();
        table.keys().forEach(key -> numbers.put(key, table.integer(key, 1, Integer.MAX_VALUE)));
        return numbers;
    }

    private PromptTemplate wording(Profile profile) {
        Template target = template("target", profile);
        return new PromptTemplate(
                table.tables("derived").stream().map(TaskFile::derived).toList(),
                template("description", profile),
                template("question", profile),
                templates("choices", profile),
                target,
                table.has("counted") ? template("counted", profile) : target,
                template("gold", profile),
                templates("labels", profile),
                table.choice("answer", Map.of("index", false, "text", true), "index"),
                at("delimiter", profile).string("delimiter", " "));
    }

    private static PromptTemplate.Derived derived(ConfigTable derived) {
        PromptTemplate.Derived.Kind kind = Arrays.stream(PromptTemplate.Derived.Kind.values())
                .filter(one -> derived.has(one.name().toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElse(PromptTemplate.Derived.Kind.TEXT);
        return new PromptTemplate.Derived(
                derived.string("field"),
                kind,
                Template.of(derived.string(kind.name().toLowerCase(Locale.ROOT)), derived.strings("then", List.of())));
    }

    /** The table that has the key for the profile. */
    private ConfigTable at(String key, Profile profile) {
        return profile == Profile.LQER && older.isPresent() && older.get().has(key) ? older.get() : table;
    }

    /** A text, or a table with a text and what is done to the whole of it. */
    private Template template(String key, Profile profile) {
        ConfigTable at = at(key, profile);
        if (at.has(key) && at.value(key) instanceof Map) {
            ConfigTable both = at.requiredTable(key);
            return Template.of(both.string("text"), both.strings("then", List.of()));
        }
        return Template.of(at.string(key, ""), List.of());
    }

    private Templates templates(String key, Profile profile) {
        ConfigTable at = at(key, profile);
        if (!at.has(key)) {
            return Templates.none();
        }
        if (at.value(key) instanceof String field) {
            return new Templates(List.of(Template.of(field, List.of())), true);
        }
        return new Templates(
                at.strings(key).stream()
                        .map(text -> Template.of(text, List.of()))
                        .toList(),
                false);
    }

    private static <E extends Enum<E>> Map<String, E> byLabel(E[] constants) {
        return Arrays.stream(constants)
                .collect(Collectors.toMap(constant -> constant.name().toLowerCase(Locale.ROOT), constant -> constant));
    }
}
