package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads a task's file. Its table {@code lqer}, present if the task has profile {@code lqer-0.3}, holds that profile's
 * differences.
 */
final class TaskFile {
    private final String name;
    private final ConfigTable table;
    private final Optional<ConfigTable> older;
    private final String summary;

    /**
     * Starts reading a task.
     *
     * @param toml text of its file
     */
    TaskFile(String name, String toml) {
        this.name = name;
        this.table = ConfigTable.parse(toml, name + ".toml", List.of(), TaskKeys.SECTION);
        this.older = table.read(TaskKeys.OLDER);
        this.summary = table.read(TaskKeys.SUMMARY);
    }

    String summary() {
        return summary;
    }

    /** Returns the task or group, if the profile has it. */
    Optional<TaskNode> node(Profile profile) {
        if (profile == Profile.LQER && older.isEmpty()) {
            return Optional.empty();
        }
        ConfigTable dataset = table.read(TaskKeys.DATASET);
        Task whole = new Task(
                name,
                name,
                Optional.empty(),
                new Task.Source(
                        summary,
                        table.read(TaskKeys.PAPER),
                        table.read(TaskKeys.LICENCE),
                        dataset.read(TaskKeys.PATH),
                        dataset.read(TaskKeys.CONFIG)),
                numbers(table.read(TaskKeys.SPLITS)),
                table.read(TaskKeys.FEWSHOT),
                table.read(TaskKeys.FIRST_EXAMPLES),
                at(TaskKeys.VERSION, profile).read(TaskKeys.VERSION),
                table.read(TaskKeys.SCORING),
                table.read(TaskKeys.METRICS).stream().map(TaskMetric::named).toList(),
                wording(profile));
        return Optional.of(
                table.read(TaskKeys.GROUP).map(group -> group(whole, group)).orElse(whole));
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
        String field = group.read(TaskKeys.FIELD);
        String version = group.read(TaskKeys.GROUP_VERSION);
        ConfigTable parts = group.read(TaskKeys.PARTS);
        List<TaskNode> members = new ArrayList<>();
        for (String part : parts.keys()) {
            List<TaskNode> tasks = new ArrayList<>();
            numbers(parts.read(TaskKeys.PART.named(part)))
                    .forEach((value, size) -> tasks.add(part(whole, field, value, size)));
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
        table.keys().forEach(key -> numbers.put(key, table.read(TaskKeys.DOCUMENTS.named(key))));
        return numbers;
    }

    private PromptTemplate wording(Profile profile) {
        Template target = template(TaskKeys.TARGET, profile);
        return new PromptTemplate(
                table.read(TaskKeys.DERIVED).stream().map(TaskFile::derived).toList(),
                template(TaskKeys.DESCRIPTION, profile),
                template(TaskKeys.QUESTION, profile),
                templates(TaskKeys.CHOICES, profile),
                target,
                table.has(TaskKeys.COUNTED.text()) ? template(TaskKeys.COUNTED, profile) : target,
                template(TaskKeys.GOLD, profile),
                templates(TaskKeys.LABELS, profile),
                table.read(TaskKeys.ANSWER_TEXT),
                at(TaskKeys.DELIMITER, profile).read(TaskKeys.DELIMITER));
    }

    private static PromptTemplate.Derived derived(ConfigTable derived) {
        PromptTemplate.Derived.Kind kind = Arrays.stream(PromptTemplate.Derived.Kind.values())
                .filter(one -> derived.has(TaskKeys.derivation(one)))
                .findFirst()
                .orElse(PromptTemplate.Derived.Kind.TEXT);
        return new PromptTemplate.Derived(
                derived.read(TaskKeys.FIELD),
                kind,
                Template.of(derived.read(TaskKeys.derivation(kind)), derived.read(TaskKeys.THEN)));
    }

    /** Returns the table that has the key for the profile. */
    private ConfigTable at(Key<?> key, Profile profile) {
        return profile == Profile.LQER && older.isPresent() && older.get().has(key) ? older.get() : table;
    }

    private Template template(TaskKeys.Wording wording, Profile profile) {
        ConfigTable at = at(wording.text(), profile);
        if (at.written(wording.text()).filter(Map.class::isInstance).isPresent()) {
            ConfigTable both = at.read(wording.both());
            return Template.of(both.read(TaskKeys.TEXT), both.read(TaskKeys.THEN));
        }
        return Template.of(at.read(wording.text()), List.of());
    }

    private Templates templates(TaskKeys.Wordings wordings, Profile profile) {
        ConfigTable at = at(wordings.field(), profile);
        if (!at.has(wordings.field())) {
            return Templates.none();
        }
        if (at.written(wordings.field()).filter(String.class::isInstance).isPresent()) {
            return new Templates(List.of(Template.of(at.read(wordings.field()), List.of())), true);
        }
        return new Templates(
                at.read(wordings.texts()).stream()
                        .map(text -> Template.of(text, List.of()))
                        .toList(),
                false);
    }
}
