package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.json.JsonMapper;

class DocumentsTest {
    @TempDir
    Path folder;

    private static List<Document> documents(TasksSettings settings, Path data) throws IOException {
        List<String> problems = new ArrayList<>();
        List<Document> documents = new ArrayList<>();
        TaskFolder rows = new TaskFolder(data);
        for (Task task : settings.tasks()) {
            documents.addAll(Documents.of(task, settings, rows, problems).documents());
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
        return documents;
    }

    private static List<Document> documents(String toml) throws IOException {
        return documents(TestSettings.of(toml), TestSettings.data());
    }

    /** Every text that a model gets, of every task and profile, is in a file. */
    @ParameterizedTest
    @EnumSource(Profile.class)
    void asksTheSameAsEver(Profile profile) throws IOException {
        StringBuilder asked = new StringBuilder();
        for (int shots = 0; shots < 2; shots++) {
            for (String name : Tasks.names(profile)) {
                boolean some = !name.startsWith("mmlu")
                        || List.of("mmlu_astronomy", "mmlu_virology").contains(name);
                if (some && (shots == 0 || !name.equals("wikitext")) && !(shots == 1 && name.equals("mmlu_virology"))) {
                    append(
                            asked,
                            documents("names = ['" + name + "']\nnum_fewshot = " + shots + "\nprofile = '"
                                    + profile.label() + "'"),
                            shots);
                }
            }
        }
        assertThat(asked.toString()).isEqualTo(resource("asked-" + profile.label() + ".txt"));
    }

    private static void append(StringBuilder text, List<Document> documents, int shots) {
        for (Document document : documents) {
            text.append("== ")
                    .append(document.task().name())
                    .append(", ")
                    .append(shots)
                    .append(" examples, ");
            text.append(document.place().replaceFirst(".*/", ""))
                    .append(", gold ")
                    .append(document.gold());
            text.append(", target ").append(quoted(document.target())).append('\n');
            String last = "";
            for (TextRequest asked : document.asked()) {
                if (!asked.context().equals(last)) {
                    text.append(quoted(asked.context())).append('\n');
                }
                last = asked.context();
                text.append("  ").append(quoted(asked.continuation())).append('\n');
            }
        }
    }

    private static String quoted(String text) {
        return JsonMapper.shared().writeValueAsString(text);
    }

    private static String resource(String name) throws IOException {
        try (var in = Objects.requireNonNull(DocumentsTest.class.getResourceAsStream(name), name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    void lqersProfileShufflesAndWordsCopaItsOwnWay() throws IOException {
        List<Document> copa = documents("names = ['copa']\nprofile = 'lqer-0.3'");
        assertThat(copa)
                .extracting(document -> document.place().replaceFirst(".*:", ""))
                .containsExactly("2", "1", "3");
        assertThat(copa.get(0).asked().get(0).continuation()).isEqualTo(" it broke.");
        assertThat(documents("names = ['copa']").get(1).asked().get(0).continuation())
                .isEqualTo("  it broke.");
    }

    @Test
    void arcLabelsBecomeLettersInLqersProfile() throws IOException {
        write(
                "arc_easy/test",
                "{\"question\": \"q\", \"answerKey\": \"2\","
                        + " \"choices\": {\"text\": [\"x\", \"y\"], \"label\": [\"1\", \"2\"]}}");
        assertThat(documents(settings("names = ['arc_easy']\nprofile = 'lqer-0.3'"), folder)
                        .get(0)
                        .gold())
                .isEqualTo(1);
        // labels that do not follow each other: the letter counts, not its place
        write(
                "arc_easy/test",
                "{\"question\": \"q\", \"answerKey\": \"C\","
                        + " \"choices\": {\"text\": [\"x\", \"y\", \"z\"], \"label\": [\"A\", \"C\", \"B\"]}}");
        assertThat(documents(settings("names = ['arc_easy']\nprofile = 'lqer-0.3'"), folder)
                        .get(0)
                        .gold())
                .isEqualTo(2);
        assertThat(documents(settings("names = ['arc_easy']"), folder).get(0).gold())
                .isEqualTo(1);
    }

    /** The harness's flaw shows a document its own answer; by default it does not. */
    @Test
    void lambadaNeverShowsItsOwnAnswerUnlessAskedTo() throws IOException {
        for (String quirks : List.of("[]", "['own_answer']")) {
            List<Document> documents = documents("names = ['lambada_openai']\nnum_fewshot = 3\nquirks = " + quirks);
            boolean own = documents.stream()
                    .anyMatch(document -> document.asked()
                            .get(0)
                            .context()
                            .contains(document.fields().get("text").asString().replaceFirst(" ([^ ]*)$", "  $1")));
            assertThat(own).as(quirks).isEqualTo(!quirks.equals("[]"));
            assertThat(documents)
                    .allSatisfy(document -> assertThat(
                                    document.asked().get(0).context().split("\n\n(?=[A-Z\"])", -1))
                            .hasSizeGreaterThanOrEqualTo(4));
        }
    }

    @Test
    void examplesAreAsMany() throws IOException {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents("names = ['piqa']\nnum_fewshot = 3"))
                .withMessage("piqa: num_fewshot 3 needs 4 documents in split train, found 3; lower it");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents("names = ['mmlu_astronomy']\nnum_fewshot = 6"))
                .withMessage("mmlu_astronomy: num_fewshot 6 needs 6 documents in split dev, found 5; lower it");
        assertThat(documents("names = ['arc_easy']\nnum_fewshot = 3")
                        .get(0)
                        .asked()
                        .get(0)
                        .context())
                .matches("(?s)(Question: Training question \\d\\?\nAnswer: right \\d\n\n){3}Question: .*\nAnswer:");
    }

    @Test
    void anotherSeedGivesOtherExamples() throws IOException {
        assertThat(documents("names = ['piqa']\nnum_fewshot = 2\nseed = 5")
                        .get(0)
                        .asked())
                .isNotEqualTo(
                        documents("names = ['piqa']\nnum_fewshot = 2").get(0).asked());
    }

    @Test
    void partsOfAGroupShareAFile() throws IOException {
        assertThat(documents("names = ['mmlu_astronomy', 'mmlu_virology']"))
                .extracting(document -> document.task().name() + " " + document.id() + " "
                        + document.place().replaceFirst(".*:", ""))
                .containsExactly("mmlu_astronomy 0 1", "mmlu_astronomy 1 2", "mmlu_astronomy 2 4", "mmlu_virology 0 3");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "piqa | validation | {'goal': 'g', 'sol1': 'a', 'label': 0} | expected a field 'sol2', found [goal, sol1,"
                        + " label]",
                "piqa | validation | {'goal': 'g', 'sol1': 'a', 'sol2': 'b', 'label': 2} | expected the right one of 2"
                        + " choices, got '2'",
                "piqa | validation | {'goal': 'g', 'sol1': 'a', 'sol2': 'b', 'label': -1} | expected the right one of 2"
                        + " choices, got '-1'",
                "piqa | validation | {'goal': 'g', 'sol1': 'a', 'sol2': 'b', 'label': true} | expected a text under"
                        + " 'label', got true",
                "piqa | validation | {'goal': ['g'], 'sol1': 'a', 'sol2': 'b', 'label': 1} | expected a text under"
                        + " 'goal', got ['g']",
                "boolq | validation | {'passage': 'p', 'question': 'q', 'label': 0.5} | expected the right one of 2"
                        + " choices, got '0.5'",
                "arc_easy | test | {'question': 'q', 'answerKey': 'E', 'choices': {'text': ['x', 'y'], 'label': ['A',"
                        + " 'B']}} | expected one of the labels [A, B] for the right choice, got 'E'",
                "arc_easy | test | {'question': 'q', 'answerKey': 'B', 'choices': {'text': ['x'], 'label': ['A', 'B']}} |"
                        + " expected the right one of 1 choices, got 'B'",
                "arc_easy | test | {'question': 'q', 'answerKey': 'B', 'choices': ['x']} | expected a field"
                        + " 'choices.text', found [question, answerKey, choices]",
                "winogrande | validation | {'sentence': 'no gap', 'option1': 'a', 'option2': 'b', 'answer': '1'} |"
                        + " 'sentence': expected an underscore for what is missing, got 'no gap'",
                "winogrande | validation | {'sentence': 'a _ b', 'option1': 'a', 'option2': 'b', 'answer': ''} |"
                        + " expected one of the labels [1, 2] for the right choice, got ''",
                "copa | validation | {'premise': 'P.', 'choice1': 'A', 'choice2': 'B', 'question': 'why', 'label': 0} |"
                        + " 'question': expected 'cause' or 'effect', got 'why'",
                "hellaswag | validation | {'activity_label': 'A', 'ctx_a': 'b', 'ctx_b': '', 'endings': ['c', 'd'],"
                        + " 'label': ''} | expected a whole number for {label}, got ''",
                "mmlu_virology | test | {'question': 'q', 'subject': 'virology', 'choices': ['a', 'b', 'c'], 'answer':"
                        + " 0} | expected a field 'choices.3', found [question, subject, choices, answer]",
                "lambada_openai | test | {'text': null} | expected a field 'text', found [text]",
                "wikitext | test | {'page': 'p', 'other': '\\ud834'} | expected Unicode, found half of a surrogate pair",
                "wikitext | test | {} | expected a field 'page', found []"
            })
    void saysWhichDocumentIsWrong(String task, String split, String json, String message) throws IOException {
        Path file = write(task.replaceFirst("_virology", "") + "/" + split, json.replace('\'', '"'));
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents(settings("names = ['" + task + "']"), folder))
                .withMessage(file + ":1: " + task + ", document 0: " + message.replace('\'', '"'));
    }

    @Test
    void saysWhichExampleIsWrong() throws IOException {
        write(
                "arc_easy/test",
                "{\"question\": \"q\", \"answerKey\": \"A\","
                        + " \"choices\": {\"text\": [\"x\"], \"label\": [\"A\"]}}");
        Path train = write("arc_easy/train", "{\"question\": \"q\"}");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents(settings("names = ['arc_easy']\nnum_fewshot = 1"), folder))
                .withMessage(train + ":1: arc_easy, example of document 0: expected a field \"choices.text\", found"
                        + " [question]");
    }

    @Test
    void saysWhichFileIsMissingTornOrEmpty() throws IOException {
        TasksSettings piqa = settings("names = ['piqa']");
        Path file = folder.resolve("piqa/validation.jsonl");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents(piqa, folder))
                .withMessage(file + ": no such file; task piqa needs it");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> new TaskFolder(folder).sha256(piqa.tasks().get(0), "train"))
                .withMessage(folder.resolve("piqa/train.jsonl") + ": no such file; task piqa needs it");
        write("piqa/validation", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 0}\n{\"goal\": \"g");
        assertThatIOException()
                .isThrownBy(() -> documents(piqa, folder))
                .withMessageStartingWith(file + ":2: not valid JSON: ");
        write("piqa/validation", "[1]");
        assertThatIOException().isThrownBy(() -> documents(piqa, folder)).withMessage(file + ":1: expected an object");
        write("piqa/validation", "\n");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents(piqa, folder))
                .withMessage("piqa: expected documents in split validation, found 0");
        write("piqa/validation", "{}");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents(settings("names = ['piqa']\nlimit = 0.5\nprofile = 'lqer-0.3'"), folder))
                .withMessage("piqa: expected documents in split validation, found 1, of which limit leaves none");
        write("mmlu/test", "{\"question\": \"q\"}");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> documents(settings("names = ['mmlu_virology']"), folder))
                .withMessage(folder.resolve("mmlu/test.jsonl") + ":1: expected a text under \"subject\"");
    }

    private static TasksSettings settings(String toml) {
        return TestSettings.of(toml);
    }

    private Path write(String name, String lines) throws IOException {
        Path file = folder.resolve(name + ".jsonl");
        Files.createDirectories(Objects.requireNonNull(file.getParent()));
        return Files.writeString(file, lines);
    }
}
