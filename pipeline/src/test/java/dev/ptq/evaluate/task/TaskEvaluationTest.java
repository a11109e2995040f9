package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Digests;
import dev.ptq.evaluate.Request;
import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TaskEvaluationTest {
    private static final String NAMES = "names = ['copa', 'lambada_openai', 'wikitext', 'arc_easy']";

    /** Some passes hold documents of two tasks, some documents fill one. */
    private static final long PASS_TOKENS = 150;

    @TempDir
    Path folder;

    private static TaskEvaluation evaluation(String toml, long passTokens) throws IOException {
        TasksSettings settings = TestSettings.of(toml);
        return TaskEvaluation.prepare(
                settings, new TaskFolder(TestSettings.data()), ToyModel.encoding(true), 64, passTokens);
    }

    private static Map<String, String> files(Path folder) throws IOException {
        Map<String, String> files = new TreeMap<>();
        try (Stream<Path> all = Files.list(folder)) {
            for (Path file : all.toList()) {
                files.put(file.getFileName().toString(), Files.readString(file));
            }
        }
        return files;
    }

    private Path newFolder(String name) throws IOException {
        return Files.createDirectories(folder.resolve(name));
    }

    /** A model that gives up after some passes. */
    private static RequestScorer dyingAfter(int passes) {
        ToyModel model = new ToyModel();
        return (name, requests) -> {
            if (model.asked.size() == passes) {
                throw new IOException("killed");
            }
            return model.score(name, requests);
        };
    }

    @Test
    void goesOnAfterEveryPassWithTheSameBytes() throws IOException {
        ToyModel model = new ToyModel();
        Path whole = newFolder("whole");
        Map<String, Object> metrics =
                evaluation(NAMES, PASS_TOKENS).run(model, whole).metrics();
        int passes = model.asked.size();
        assertThat(passes).isGreaterThan(6);
        assertThat(model.asked).doesNotHaveDuplicates();
        assertThat(files(whole).keySet())
                .containsExactly(
                        "samples_arc_easy.jsonl",
                        "samples_copa.jsonl",
                        "samples_lambada_openai.jsonl",
                        "samples_wikitext.jsonl");

        for (int done = 0; done <= passes; done++) {
            Path left = newFolder("left-" + done);
            if (done < passes) {
                int survived = done;
                assertThatIOException()
                        .isThrownBy(() -> evaluation(NAMES, PASS_TOKENS).run(dyingAfter(survived), left))
                        .withMessage("killed");
            } else {
                evaluation(NAMES, PASS_TOKENS).run(new ToyModel(), left);
            }
            ToyModel second = new ToyModel();
            assertThat(evaluation(NAMES, PASS_TOKENS).run(second, left).metrics())
                    .isEqualTo(metrics);
            assertThat(second.asked).isEqualTo(model.asked.subList(done, passes));
            assertThat(files(left)).isEqualTo(files(whole));
        }
    }

    /** Files are cut at every kind of place: within a line, at its end, between the lines of a pass. */
    @Test
    void goesOnAfterAKillWithinALine() throws IOException {
        Path whole = newFolder("whole");
        Map<String, Object> metrics =
                evaluation(NAMES, PASS_TOKENS).run(new ToyModel(), whole).metrics();
        Map<String, String> expected = files(whole);
        int tried = 0;
        for (String name : List.of("samples_copa.jsonl", "samples_lambada_openai.jsonl", "samples_arc_easy.jsonl")) {
            byte[] bytes = Files.readAllBytes(whole.resolve(name));
            for (int length = 0; length < bytes.length; length += 97) {
                Path left = newFolder("cut-" + tried++);
                for (Map.Entry<String, String> file : expected.entrySet()) {
                    Files.writeString(left.resolve(file.getKey()), file.getValue());
                }
                Files.write(left.resolve(name), Arrays.copyOf(bytes, length));
                assertThat(evaluation(NAMES, PASS_TOKENS)
                                .run(new ToyModel(), left)
                                .metrics())
                        .isEqualTo(metrics);
                assertThat(files(left)).as(name + " of " + length + " bytes").isEqualTo(expected);
            }
        }
        assertThat(tried).isGreaterThan(30);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "garbage\n",
                "{}\n",
                "\n",
                "{\"filtered_resps\": [[\"x\", \"True\"], [\"1\", \"True\"]]}\n",
                "{\"filtered_resps\": 3}\n",
                "\u0000\u0001\n",
                "[[[[[[[[\n"
            })
    void aLineThatIsNotAsItWouldBeWrittenIsDoneAgain(String line) throws IOException {
        Path whole = newFolder("whole");
        evaluation(NAMES, PASS_TOKENS).run(new ToyModel(), whole);
        Path left = newFolder("left");
        Files.writeString(
                left.resolve("samples_copa.jsonl"), line + files(whole).get("samples_copa.jsonl"));
        evaluation(NAMES, PASS_TOKENS).run(new ToyModel(), left);
        assertThat(files(left)).isEqualTo(files(whole));
    }

    @Test
    void aScoreThatWasChangedByHandIsDoneAgain() throws IOException {
        Path left = newFolder("left");
        evaluation("names = ['copa']", PASS_TOKENS).run(new ToyModel(), left);
        String right = Files.readString(left.resolve("samples_copa.jsonl"));
        String wrong = right.replaceFirst("\"filtered_resps\":\\[\\[\"-", "\"filtered_resps\":[[\"-1");
        assertThat(wrong).isNotEqualTo(right);
        Files.writeString(left.resolve("samples_copa.jsonl"), wrong);
        evaluation("names = ['copa']", PASS_TOKENS).run(new ToyModel(), left);
        assertThat(files(left).get("samples_copa.jsonl")).isEqualTo(right);
    }

    /** What another setting left is no use. */
    @Test
    void linesOfAnotherEvaluationAreNotTaken() throws IOException {
        Path left = newFolder("left");
        evaluation("names = ['piqa']\nnum_fewshot = 1", PASS_TOKENS).run(new ToyModel(), left);
        Path fresh = newFolder("fresh");
        evaluation("names = ['piqa']", PASS_TOKENS).run(new ToyModel(), fresh);
        evaluation("names = ['piqa']", PASS_TOKENS).run(new ToyModel(), left);
        assertThat(files(left)).isEqualTo(files(fresh));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 64})
    void batchesAndOrderChangeNothing(int size) throws IOException {
        Path whole = newFolder("whole");
        Path batched = newFolder("batched");
        Map<String, Object> metrics =
                evaluation(NAMES, PASS_TOKENS).run(new ToyModel(), whole).metrics();
        assertThat(evaluation(NAMES, PASS_TOKENS)
                        .run(new ToyModel().inBatchesOf(size), batched)
                        .metrics())
                .isEqualTo(metrics);
        assertThat(files(batched)).isEqualTo(files(whole));
    }

    @Test
    void passesChangeNothing() throws IOException {
        Path whole = newFolder("whole");
        Path pieces = newFolder("pieces");
        ToyModel one = new ToyModel();
        ToyModel many = new ToyModel();
        assertThat(evaluation(NAMES, Long.MAX_VALUE).run(one, whole).metrics())
                .isEqualTo(evaluation(NAMES, 1).run(many, pieces).metrics());
        assertThat(files(pieces)).isEqualTo(files(whole));
        assertThat(one.asked).hasSize(1);
        assertThat(many.asked).hasSize(3 + 4 + 3 + 3);
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY})
    void aScoreThatIsNoNumberStopsIt(double score) throws IOException {
        TaskEvaluation evaluation = evaluation("names = ['copa']", Long.MAX_VALUE);
        Path samples = newFolder("samples");
        RequestScorer broken = (name, requests) -> {
            List<Score> scores = new ArrayList<>(new ToyModel().score(name, requests));
            scores.set(scores.size() - 1, new Score(score, false));
            return scores;
        };
        assertThatIOException()
                .isThrownBy(() -> evaluation.run(broken, samples))
                .withMessageContaining(
                        "validation.jsonl:3: copa, document 2: the model gives a log-likelihood of " + score);
        assertThat(files(samples)).isEmpty();
    }

    @Test
    void wantsAScoreForEachRequest() throws IOException {
        TaskEvaluation evaluation = evaluation("names = ['copa']", Long.MAX_VALUE);
        Path samples = newFolder("samples");
        assertThatIllegalStateException()
                .isThrownBy(() -> evaluation.run((name, requests) -> List.of(), samples))
                .withMessage("expected 6 scores, got 0");
    }

    /** Nothing is asked about a page without text; all pages together must have some. */
    @Test
    void aPageWithoutTextCountsForNothing() throws IOException {
        Path data = newFolder("data/wikitext");
        Files.writeString(data.resolve("test.jsonl"), "{\"page\": \"\"}\n{\"page\": \"a b\"}\n");
        TasksSettings settings = TestSettings.of("names = ['wikitext']");
        TaskResults results = TaskEvaluation.prepare(
                        settings, new TaskFolder(folder.resolve("data")), ToyModel.encoding(false), 64)
                .run(new ToyModel(), newFolder("some"));
        assertThat(results.metrics()).containsEntry("wikitext/documents", 2);
        Files.writeString(data.resolve("test.jsonl"), "{\"page\": \"\"}\n");
        TaskEvaluation nothing =
                TaskEvaluation.prepare(settings, new TaskFolder(folder.resolve("data")), ToyModel.encoding(false), 64);
        Path none = newFolder("none");
        assertThatIOException()
                .isThrownBy(() -> nothing.run(new ToyModel(), none))
                .withMessage("wikitext: byte_perplexity is NaN over 1 documents");
    }

    @Test
    void saysWhichDocumentsAreWrongAllAtOnce() throws IOException {
        Path data = newFolder("data/piqa");
        String wrong = "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\"}\n";
        String tooLong = "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"" + "b".repeat(64) + "\", \"label\": 0}\n";
        Files.writeString(data.resolve("validation.jsonl"), tooLong + wrong.repeat(22));
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> TaskEvaluation.prepare(
                        TestSettings.of("names = ['piqa']"),
                        new TaskFolder(folder.resolve("data")),
                        ToyModel.encoding(false),
                        64))
                .satisfies(problems -> assertThat(problems.problems())
                        .hasSize(21)
                        .contains(
                                data.resolve("validation.jsonl")
                                        + ":2: piqa, document 1: expected a field \"label\", found [goal, sol1, sol2]",
                                "… and 3 more"));
        Files.writeString(data.resolve("validation.jsonl"), tooLong);
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> TaskEvaluation.prepare(
                        TestSettings.of("names = ['piqa']"),
                        new TaskFolder(folder.resolve("data")),
                        ToyModel.encoding(false),
                        64))
                .withMessage(data.resolve("validation.jsonl")
                        + ":1: piqa, document 0: expected a continuation of at most 64 tokens, as many as the model"
                        + " takes, got 65");
    }

    @Test
    void knowsTheFilesThatItReads() throws IOException {
        TaskFolder data = new TaskFolder(TestSettings.data());
        Path piqa = TestSettings.data().resolve("piqa");
        Path mmlu = TestSettings.data().resolve("mmlu");
        assertThat(TaskEvaluation.digests(TestSettings.of("names = ['piqa', 'mmlu']"), data))
                .containsExactly(Digests.of(piqa.resolve("validation.jsonl")), Digests.of(mmlu.resolve("test.jsonl")));
        assertThat(TaskEvaluation.digests(TestSettings.of("names = ['mmlu', 'piqa']\nnum_fewshot = 1"), data))
                .containsExactly(
                        Digests.of(mmlu.resolve("test.jsonl")),
                        Digests.of(mmlu.resolve("dev.jsonl")),
                        Digests.of(piqa.resolve("validation.jsonl")),
                        Digests.of(piqa.resolve("train.jsonl")));
    }

    /** A continuation that is swallowed by the token before it is scored alone, and counted. */
    @Test
    void anEmptyContinuationIsReported() throws IOException {
        TextEncoding swallowing = new TextEncoding() {
            @Override
            public int[] encode(String text) {
                return new int[] {ToyModel.PREFIX, text.length() % 256};
            }

            @Override
            public int[] encodePlain(String text) {
                return ToyModel.encoding(false).encodePlain(text);
            }

            @Override
            public int prefix() {
                return ToyModel.PREFIX;
            }
        };
        List<Request> asked = new ArrayList<>();
        TaskResults results = TaskEvaluation.prepare(
                        TestSettings.of("names = ['boolq']"), new TaskFolder(TestSettings.data()), swallowing, 64)
                .run(
                        (name, requests) -> {
                            asked.addAll(requests);
                            return new ToyModel().score(name, requests);
                        },
                        newFolder("samples"));
        assertThat(results.metrics()).containsEntry("boolq/encoded_alone", 6);
        assertThat(asked.get(0).scored()).isEqualTo(3);
        assertThat(asked.get(1).scored()).isEqualTo(4);
    }
}
