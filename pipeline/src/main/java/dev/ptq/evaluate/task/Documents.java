package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Row;
import dev.ptq.evaluate.PythonRandom;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.node.ObjectNode;

/** Builds the documents of a task: selection, order, and examples. */
final class Documents {
    private static final Logger log = LoggerFactory.getLogger(Documents.class);

    private final Task task;
    private final TasksSettings settings;
    private final List<Row> pool;
    private final PythonRandom random;
    private final List<String> problems;

    private Documents(Task task, TasksSettings settings, List<Row> pool, PythonRandom random, List<String> problems) {
        this.task = task;
        this.settings = settings;
        this.pool = pool;
        this.random = random;
        this.problems = problems;
    }

    /**
     * Returns the documents in the order of evaluation.
     *
     * @param problems gets a line for each document that is wrong, which is then left out
     * @throws ConfigException if there are no documents, or too few for examples
     */
    static Selected of(Task task, TasksSettings settings, TaskData data, List<String> problems) throws IOException {
        List<Row> rows = data.rows(task, task.evaluatedSplit());
        int count = settings.limited(rows.size());
        if (count == 0) {
            throw new ConfigException(task.name() + ": expected documents in split " + task.evaluatedSplit()
                    + ", found " + rows.size() + (rows.isEmpty() ? "" : ", of which limit leaves none"));
        }
        PythonRandom random = new PythonRandom(settings.usedSeed());
        int[] order = new int[rows.size()];
        Arrays.setAll(order, i -> i);
        if (settings.profile() == Profile.LQER) {
            order = random.shuffled(rows.size());
        }
        List<Row> pool = settings.numFewshot() == 0 ? List.of() : data.rows(task, task.exampleSplit());
        Documents documents = new Documents(task, settings, pool, random, problems);
        documents.requirePool();
        if (settings.numFewshot() > 0 && documents.isSpared()) {
            log.info(
                    "{}: no document is among its own examples, as it may be in the harness; quirks = [\"own_answer\"]"
                            + " allows it",
                    task.name());
        }
        List<Document> made = new ArrayList<>();
        for (int id = 0; id < count; id++) {
            documents.document(id, rows.get(order[id])).ifPresent(made::add);
        }
        return new Selected(made, rows.size());
    }

    /**
     * The documents to evaluate.
     *
     * @param available how many the data has
     */
    record Selected(List<Document> documents, int available) {}

    private void requirePool() {
        int needed = settings.numFewshot() + (settings.numFewshot() > 0 && excludesItself() ? 1 : 0);
        if (pool.size() < needed) {
            throw new ConfigException(task.name() + ": num_fewshot " + settings.numFewshot() + " needs " + needed
                    + " documents in split " + task.exampleSplit() + ", found " + pool.size() + "; lower it");
        }
    }

    /** Returns whether one extra example is drawn, so that the document itself can be left out. */
    private boolean excludesItself() {
        if (task.firstExamples()) {
            return false;
        }
        if (settings.profile() == Profile.LQER) {
            return !task.exampleSplit().equals("train");
        }
        return harnessExcludesItself()
                || (task.exampleSplit().equals(task.evaluatedSplit())
                        && !settings.quirks().contains(Quirk.OWN_ANSWER));
    }

    /** The harness compares the names of the splits that a task gives; two missing names are equal. */
    private boolean harnessExcludesItself() {
        return task.fewshot()
                .equals(task.splits().containsKey("test") ? Optional.of("test") : Optional.<String>empty());
    }

    /** Returns whether the document is left out here but not by the harness. */
    private boolean isSpared() {
        return settings.profile() == Profile.HARNESS && excludesItself() && !harnessExcludesItself();
    }

    private Optional<Document> document(int id, Row row) {
        String place = row.place() + ": " + task.name() + ", document " + id;
        StringBuilder examples = new StringBuilder();
        for (Row example : examples(row)) {
            note(example.place() + ": " + task.name() + ", example of document " + id, () -> {
                examples.append(example(example)).append(PromptTemplate.EXAMPLE_DELIMITER);
                return examples;
            });
        }
        return note(place, () -> document(id, row, examples.toString()));
    }

    private interface Made<T> {
        T make();
    }

    private <T> Optional<T> note(String place, Made<T> made) {
        try {
            return Optional.of(made.make());
        } catch (ConfigException e) {
            problems.add(place + ": " + e.getMessage());
            return Optional.empty();
        }
    }

    private List<Row> examples(Row row) {
        int count = settings.numFewshot();
        if (task.firstExamples() || count == 0) {
            return pool.subList(0, count);
        }
        boolean excludes = excludesItself();
        return Arrays.stream(random.sample(pool.size(), count + (excludes ? 1 : 0)))
                .mapToObj(pool::get)
                .filter(drawn -> !excludes || !drawn.fields().equals(row.fields()))
                .limit(count)
                .toList();
    }

    private String example(Row row) {
        ObjectNode fields = derived(row.fields());
        String right = "";
        if (task.scoring().hasChoices()) {
            List<String> choices = task.wording().choices().texts(fields);
            right = choices.get(gold(fields, choices));
        }
        return task.scoring().example(task.wording(), fields, right);
    }

    private Document document(int id, Row row, String examples) {
        PromptTemplate wording = task.wording();
        Scoring scoring = task.scoring();
        ObjectNode fields = derived(row.fields());
        List<String> choices = scoring.hasChoices() ? wording.choices().texts(fields) : List.of();
        int gold = scoring.hasChoices() ? gold(fields, choices) : 0;
        String right = scoring.hasChoices() ? choices.get(gold) : "";
        return new Document(
                task,
                id,
                row.place(),
                fields,
                scoring.asked(wording, fields, wording.description().text(fields) + examples, choices),
                choices,
                gold,
                scoring.target(wording, fields, right, gold),
                scoring == Scoring.ROLLING ? wording.counted().text(fields) : "");
    }

    /** Returns the row with the fields that the task derives from it. */
    private ObjectNode derived(ObjectNode row) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(row.toString())) {
            throw new ConfigException("expected Unicode, found half of a surrogate pair");
        }
        if (task.wording().derived().isEmpty()) {
            return row;
        }
        ObjectNode fields = row.deepCopy();
        task.wording().derived().forEach(derived -> derived.addTo(fields));
        return fields;
    }

    private int gold(ObjectNode fields, List<String> choices) {
        PromptTemplate wording = task.wording();
        String named = wording.gold().text(fields);
        List<String> labels = wording.labels().texts(fields);
        int gold = labels.isEmpty() ? index(named) : labels.indexOf(named);
        if (gold < 0 && !labels.isEmpty()) {
            throw new ConfigException(
                    "expected one of the labels " + labels + " for the right choice, got \"" + named + "\"");
        }
        if (gold < 0 || gold >= choices.size()) {
            throw new ConfigException(
                    "expected the right one of " + choices.size() + " choices, got \"" + named + "\"");
        }
        return wording.answerIsText() ? choices.indexOf(choices.get(gold)) : gold;
    }

    private static int index(String text) {
        return text.matches("[0-9]{1,6}") ? Integer.parseInt(text) : -1;
    }
}
