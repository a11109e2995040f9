package dev.ptq.evaluate.task;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.config.Section;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** The keys of a task's file. */
final class TaskKeys {
    static final Key<String> TEXT = Key.text("text").says("a template");
    static final Key<List<String>> THEN = Key.strings("then").preset(List.of()).says("what is done to the whole text");
    private static final Section TEMPLATE = Section.of("template", TEXT, THEN);

    /** A key that holds a text, or a table with a text and operations on the whole of it. */
    record Wording(Key<String> text, Key<ConfigTable> both) {
        private static Wording of(String name, String meaning) {
            return new Wording(
                    Key.text(name).preset("").says(meaning),
                    Key.table(name, TEMPLATE).says(meaning));
        }
    }

    static final Wording DESCRIPTION = Wording.of("description", "text before all examples");
    static final Wording QUESTION = Wording.of("question", "text of a document, without its answer");
    static final Wording TARGET = Wording.of("target", "text of the right answer");
    static final Wording COUNTED = Wording.of("counted", "text whose words and bytes count; `target` if left out");
    static final Wording GOLD = Wording.of("gold", "which choice is right");

    /** A key that holds a list of texts, or the field that has them. */
    record Wordings(Key<String> field, Key<List<String>> texts) {
        private static Wordings of(String name, String meaning) {
            return new Wordings(Key.text(name).says(meaning), Key.strings(name).says(meaning));
        }
    }

    static final Wordings CHOICES = Wordings.of("choices", "the answers to choose from");
    static final Wordings LABELS = Wordings.of("labels", "names of the answers");

    static final Key<Double> VERSION =
            Key.decimal("version").from(0.0).to(100.0).says("of the task in the harness");
    static final Key<String> DELIMITER =
            Key.text("delimiter").preset(" ").says("what stands between a question and its answer");
    private static final Keys BY_PROFILE = new Keys(Stream.concat(
                    Stream.of(VERSION, DELIMITER),
                    Stream.concat(
                            Stream.of(DESCRIPTION, QUESTION, TARGET, COUNTED, GOLD)
                                    .flatMap(each -> Stream.of(each.text(), each.both())),
                            Stream.of(CHOICES, LABELS).flatMap(each -> Stream.of(each.field(), each.texts()))))
            .toList());

    static final Key<Optional<ConfigTable>> OLDER = Key.table("lqer", Section.of("lqer", BY_PROFILE))
            .optional("")
            .says("what profile `lqer-0.3` has instead; it lacks a task without this table");
    static final Key<String> SUMMARY = Key.text("summary").says("a line on the task");
    static final Key<String> PAPER = Key.text("paper").says("where the task is from");
    static final Key<String> LICENCE = Key.text("licence").says("of the data");

    static final Key<String> PATH = Key.text("path").says("the data set on the hub");
    static final Key<String> CONFIG = Key.text("name").preset("").says("which of several data sets it is");
    static final Key<ConfigTable> DATASET =
            Key.table("dataset", Section.of("dataset", PATH, CONFIG)).says("where the documents are");

    static final Key<Integer> DOCUMENTS = Key.integer("NAME").from(1).says("documents of that split or part");
    private static final Section SIZES = Section.ofNames("sizes", DOCUMENTS);
    static final Key<ConfigTable> SPLITS = Key.table("splits", SIZES).says("the evaluated split first");
    static final Key<Optional<String>> FEWSHOT =
            Key.text("fewshot").optional("").says("the split that examples come from");
    static final Key<Boolean> FIRST_EXAMPLES = Key.choice(
                    "sampler", Choices.of("random", false, "drawn anew").and("first", true, "the first of the split"))
            .preset(false)
            .says("which examples are taken");
    static final Key<Scoring> SCORING = Key.choice(
                    "scoring", Choices.of(Scoring.values(), one -> one.name().toLowerCase(Locale.ROOT), one -> ""))
            .says("how a document is scored");
    static final Key<List<String>> METRICS = Key.strings("metrics").says("what its scores become");
    static final Key<Boolean> ANSWER_TEXT = Key.choice(
                    "answer", Choices.of("index", false, "a number").and("text", true, "the text of the choice"))
            .preset(false)
            .says("what `gold` is");

    static final Key<String> FIELD = Key.text("field").says("the field of a document");
    static final Key<String> GROUP_VERSION = Key.text("version").says("of the group in the harness");
    static final Key<ConfigTable> PART = Key.table("NAME", SIZES).says("tasks of that part of the group");
    static final Key<ConfigTable> PARTS =
            Key.table("parts", Section.ofNames("parts", PART)).says("the parts of the group");
    static final Key<Optional<ConfigTable>> GROUP = Key.table("group", Section.of("group", FIELD, GROUP_VERSION, PARTS))
            .optional("")
            .says("how the task falls into tasks, by a field");

    static final Key<List<ConfigTable>> DERIVED = Key.tables(
                    "derived", Section.of("derived", Keys.of(FIELD, THEN).and(derivations())))
            .says("fields that are made of others");

    static final Section SECTION = Section.of(
            "task",
            Keys.of(SUMMARY, PAPER, LICENCE, DATASET, SPLITS, FEWSHOT, FIRST_EXAMPLES, SCORING, METRICS, ANSWER_TEXT)
                    .and(BY_PROFILE)
                    .and(DERIVED, GROUP, OLDER));

    private TaskKeys() {}

    /** Returns the key of a derived field of this kind. */
    static Key<String> derivation(PromptTemplate.Derived.Kind kind) {
        return Key.text(kind.name().toLowerCase(Locale.ROOT)).says("a template");
    }

    private static Keys derivations() {
        return new Keys(Arrays.stream(PromptTemplate.Derived.Kind.values())
                .<Key<?>>map(TaskKeys::derivation)
                .toList());
    }
}
