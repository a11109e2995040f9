package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.PythonRandom;
import dev.ptq.evaluate.PythonText;
import dev.ptq.evaluate.Request;
import dev.ptq.evaluate.Score;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the harness's own code made of a toy model: {@code golden/evaluation.json}. */
class GoldenTasksTest {
    private static final double RELATIVE = 1e-6;

    private static final JsonNode GOLDEN = golden();

    @TempDir
    Path folder;

    private static JsonNode golden() {
        try (InputStream in = GoldenTasksTest.class.getResourceAsStream("/golden/evaluation.json")) {
            return JsonMapper.shared().readTree(in.readAllBytes());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A case of the file: its settings, its documents and the pool that examples come from. */
    private record Case(JsonNode json, TasksSettings settings, TaskRows rows, TextEncoding encoding, int maxTokens) {
        static Case of(JsonNode json) {
            String name = json.get("task").asString();
            int shots = json.get("num_fewshot").asInt();
            boolean errors = json.get("aggregate").properties().stream()
                    .anyMatch(value -> value.getKey().contains("_stderr")
                            && value.getValue().isNumber());
            TasksSettings settings = new TasksSettings(
                    List.of(name),
                    shots,
                    OptionalDouble.empty(),
                    Profile.HARNESS,
                    "",
                    16,
                    errors ? 100_000 : 0,
                    1234,
                    Optional.empty(),
                    false,
                    List.of(Quirk.OWN_ANSWER, Quirk.SCORED_BOS),
                    List.of());
            Task task = settings.tasks().get(0);
            List<JsonNode> documents = new ArrayList<>();
            json.get("docs").forEach(document -> documents.add(document.get("doc")));
            TaskRows rows = new TaskRows();
            if (shots > 0) {
                rows.put(name, task.exampleSplit(), GOLDEN.get("fewshot_pools").get(name));
            }
            rows.put(name, task.evaluatedSplit(), documents);
            return new Case(
                    json,
                    settings,
                    rows,
                    ToyModel.encoding(json.get("add_bos").asBoolean()),
                    json.get("max_length").asInt());
        }

        String label() {
            return json.get("task").asString() + ", " + json.get("num_fewshot") + " examples, "
                    + (json.get("add_bos").asBoolean() ? "start token, " : "") + "at most " + maxTokens;
        }

        List<Document> documents() throws IOException {
            List<String> problems = new ArrayList<>();
            List<Document> documents = Documents.of(settings.tasks().get(0), settings, rows, problems)
                    .documents();
            assertThat(problems).isEmpty();
            return documents;
        }

        TaskEvaluation evaluation() throws IOException {
            return TaskEvaluation.prepare(settings, rows, encoding, maxTokens);
        }
    }

    private static List<Case> cases() {
        return StreamSupport.stream(GOLDEN.get("cases").spliterator(), false)
                .map(Case::of)
                .toList();
    }

    @Test
    void hasAllCases() {
        int requests = 0;
        int windows = 0;
        for (JsonNode one : GOLDEN.get("cases")) {
            for (JsonNode document : one.get("docs")) {
                requests += document.get("requests").size();
                windows += document.path("windows").size();
            }
        }
        assertThat(List.of(cases().size(), requests, windows)).containsExactly(31, 249, 8);
    }

    @TestFactory
    Stream<DynamicTest> asksByteForByte() {
        return cases().stream()
                .map(one -> DynamicTest.dynamicTest(one.label(), () -> {
                    Encoder encoder = new Encoder(one.encoding(), one.maxTokens(), one.settings());
                    List<Document> documents = one.documents();
                    JsonNode expected = one.json().get("docs");
                    assertThat(documents).hasSize(expected.size());
                    for (Document document : documents) {
                        JsonNode json = expected.get(document.id());
                        List<Request> requests = encoder.encode(document).requests();
                        List<Score> scores = new ToyModel().score("", requests);
                        if (json.has("windows")) {
                            assertThat(document.asked().get(0).continuation())
                                    .isEqualTo(json.get("scored_text").asString());
                            assertRequests(requests, scores, json.get("windows"), "context_tokens", "scored_tokens");
                        } else {
                            assertThat(document.asked())
                                    .containsExactlyElementsOf(StreamSupport.stream(
                                                    json.get("requests").spliterator(), false)
                                            .map(request -> new TextRequest(
                                                    request.get("context").asString(),
                                                    request.get("continuation").asString()))
                                            .toList());
                            assertRequests(requests, scores, json.get("requests"), "", "continuation_tokens");
                        }
                    }
                }));
    }

    private static void assertRequests(
            List<Request> requests, List<Score> scores, JsonNode expected, String context, String scored) {
        assertThat(requests).hasSize(expected.size());
        for (int i = 0; i < requests.size(); i++) {
            JsonNode json = expected.get(i);
            Request request = requests.get(i);
            assertThat(request.scored()).isEqualTo(json.get(scored).asInt());
            if (context.isEmpty()) {
                assertThat(request.ids().length - 1)
                        .isEqualTo(json.get("model_input_tokens").asInt());
                assertThat(scores.get(i).greedy())
                        .isEqualTo(json.get("is_greedy").asBoolean());
            } else {
                assertThat(request.ids().length - request.scored())
                        .isEqualTo(json.get(context).asInt());
            }
            assertClose(scores.get(i).logLikelihood(), json.get("loglikelihood"));
        }
    }

    @TestFactory
    Stream<DynamicTest> judgesAsTheHarness() {
        return cases().stream()
                .map(one -> DynamicTest.dynamicTest(one.label(), () -> {
                    Path samples = folder.resolve(one.label());
                    Files.createDirectories(samples);
                    TaskResults results = one.evaluation().run(new ToyModel(), samples);
                    String name = one.json().get("task").asString();
                    JsonNode own = results.harness(
                                    JsonMapper.shared().createObjectNode(),
                                    JsonMapper.shared().createObjectNode())
                            .get("results")
                            .get(name);
                    one.json().get("aggregate").properties().forEach(value -> {
                        assertThat(own.has(value.getKey())).as(value.getKey()).isTrue();
                        if (value.getValue().isNumber()) {
                            assertClose(own.get(value.getKey()).asDouble(), value.getValue());
                        } else {
                            assertThat(own.get(value.getKey())).isEqualTo(value.getValue());
                        }
                    });
                    List<String> lines = Files.readAllLines(samples.resolve("samples_" + name + ".jsonl"));
                    List<Document> documents = one.documents();
                    for (int i = 0; i < lines.size(); i++) {
                        assertDocument(
                                one.json().get("docs").get(i),
                                documents.get(i),
                                JsonMapper.shared().readTree(lines.get(i)));
                    }
                }));
    }

    private static void assertDocument(JsonNode expected, Document document, JsonNode line) {
        for (String metric : List.of("acc", "acc_norm", "perplexity")) {
            assertThat(line.has(metric)).as(metric).isEqualTo(expected.has(metric));
            if (expected.has(metric)) {
                assertClose(line.get(metric).asDouble(), expected.get(metric));
            }
        }
        if (expected.has("words")) {
            assertClose(line.get("word_perplexity").get(0).asDouble(), expected.get("loglikelihood"));
            assertThat(line.get("word_perplexity").get(1).asDouble())
                    .isEqualTo(expected.get("words").asDouble());
            assertThat(line.get("byte_perplexity").get(1).asDouble())
                    .isEqualTo(expected.get("bytes").asDouble());
        }
        if (expected.has("choice_chars")) {
            JsonNode gold = expected.get("gold");
            assertThat(gold.isNumber() ? document.gold() : document.target())
                    .isEqualTo(gold.isNumber() ? gold.asInt() : gold.asString());
            for (int i = 0; i < document.choices().size(); i++) {
                String choice = document.choices().get(i);
                assertThat(PythonText.characters(choice))
                        .isEqualTo(expected.get("choice_chars").get(i).asInt());
                assertThat(choice.getBytes(StandardCharsets.UTF_8))
                        .hasSize(expected.get("choice_bytes").get(i).asInt());
            }
        }
    }

    @Test
    void drawsWhatPythonDraws() {
        GOLDEN.get("python_sample_seed_1234").properties().forEach(entry -> {
            String[] words = entry.getKey().replaceAll("[^0-9 ]", "").trim().split(" +", -1);
            PythonRandom random = new PythonRandom(1234);
            for (JsonNode expected : entry.getValue()) {
                assertThat(random.sample(Integer.parseInt(words[0]), Integer.parseInt(words[1])))
                        .as(entry.getKey())
                        .isEqualTo(ints(expected));
            }
        });
        assertThat(GOLDEN.get("python_sample_seed_1234").size()).isEqualTo(6);
    }

    /** The ids are LLaMA's; the cut, the moved space and the fallback are ours. */
    @Test
    void cutsPairsWhereLlamaDoes() {
        JsonNode pairs = GOLDEN.get("llama_tokenizer_pairs").get("pairs");
        int alone = 0;
        for (JsonNode pair : pairs) {
            Map<String, int[]> ids = new HashMap<>();
            String context = pair.get("context").asString();
            String whole = context + pair.get("continuation").asString();
            int[] before = ints(pair.get("context_ids"));
            ids.put(PythonText.stripEnd(context), before);
            ids.put(
                    whole,
                    IntStream.concat(Arrays.stream(before), Arrays.stream(ints(pair.get("scored_ids"))))
                            .toArray());
            int[] fallback = ints(pair.get("continuation_encoded_alone"));
            TextEncoding llama = new TextEncoding() {
                @Override
                public int[] encode(String text) {
                    return Objects.requireNonNull(ids.get(text), text);
                }

                @Override
                public int[] encodePlain(String text) {
                    assertThat(text).isEqualTo(pair.get("continuation").asString());
                    return fallback;
                }

                @Override
                public int prefix() {
                    return 1;
                }
            };
            Encoder.Encoded encoded =
                    encode(llama, context, pair.get("continuation").asString());
            int[] scored = pair.get("scored_ids").isEmpty() ? fallback : ints(pair.get("scored_ids"));
            assertThat(encoded.requests().get(0).scored()).isEqualTo(scored.length);
            assertThat(encoded.requests().get(0).ids())
                    .isEqualTo(IntStream.concat(Arrays.stream(before), Arrays.stream(scored))
                            .toArray());
            alone += encoded.alone();
        }
        assertThat(pairs.size()).isEqualTo(8);
        assertThat(alone).isEqualTo(1);
    }

    /** The same with the vocabulary itself, where a model folder with it lies beside the checkout. */
    @Test
    void encodesPairsWithLlamasVocabulary() throws IOException {
        Optional<Path> model = Shared.find("models/llama");
        assumeTrue(model.isPresent(), "no folder ../shared/models/llama with LLaMA's tokenizer.json");
        try (Tokenizer tokenizer = Tokenizer.open(model.get())) {
            TextEncoding encoding = TextEncoding.of(
                    tokenizer, Case.of(GOLDEN.get("cases").get(0)).settings());
            for (JsonNode pair : GOLDEN.get("llama_tokenizer_pairs").get("pairs")) {
                String field = pair.get("scored_ids").isEmpty() ? "continuation_encoded_alone" : "scored_ids";
                Request request = encode(
                                encoding,
                                pair.get("context").asString(),
                                pair.get("continuation").asString())
                        .requests()
                        .get(0);
                assertThat(request.ids())
                        .isEqualTo(IntStream.concat(
                                        Arrays.stream(ints(pair.get("context_ids"))),
                                        Arrays.stream(ints(pair.get(field))))
                                .toArray());
            }
        }
    }

    private static Encoder.Encoded encode(TextEncoding encoding, String context, String continuation) {
        Case any = Case.of(GOLDEN.get("cases").get(0));
        Document document = new Document(
                any.settings().tasks().get(0),
                0,
                "pairs",
                JsonMapper.shared().createObjectNode(),
                List.of(new TextRequest(context, continuation)),
                List.of(),
                0,
                "",
                "");
        return new Encoder(encoding, 2048, any.settings()).encode(document);
    }

    /** The last of the perplexities on one small corpus; the others are those of protocols over chunks. */
    @Test
    void scoresEveryTokenOfATextOnce() throws IOException {
        String text = StreamSupport.stream(GOLDEN.get("ppl_corpus").spliterator(), false)
                .map(JsonNode::asString)
                .collect(Collectors.joining("\n\n"));
        JsonNode expected = GOLDEN.get("ppl_cases").get(3);
        Case wikitext = cases().stream()
                .filter(one -> one.json().get("task").asString().equals("wikitext"))
                .findFirst()
                .orElseThrow();
        Document document = wikitext.documents().get(0);
        Document corpus = new Document(
                document.task(),
                0,
                "corpus",
                document.fields(),
                List.of(new TextRequest("", text)),
                List.of(),
                0,
                "",
                text);
        Encoder encoder =
                new Encoder(ToyModel.encoding(false), GOLDEN.get("ppl_seq_len").asInt(), wikitext.settings());
        List<Request> windows = encoder.encode(corpus).requests();

        int tokens = windows.stream().mapToInt(Request::scored).sum();
        assertThat(tokens).isEqualTo(text.getBytes(StandardCharsets.UTF_8).length);
        double sum = new ToyModel()
                .score("", windows).stream().mapToDouble(Score::logLikelihood).sum();
        assertClose(-sum / tokens, expected.get("loss"));
        Request last = windows.get(windows.size() - 1);
        JsonNode lastWindow = expected.get("windows").get(1);
        assertThat(List.of(last.ids().length - last.scored(), last.scored()))
                .containsExactly(lastWindow.get(0).asInt(), lastWindow.get(1).asInt());
    }

    private static int[] ints(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false)
                .mapToInt(JsonNode::asInt)
                .toArray();
    }

    static void assertClose(double actual, JsonNode expected) {
        double value = expected.asDouble();
        assertThat(actual).isCloseTo(value, within(RELATIVE * Math.abs(value)));
    }
}
