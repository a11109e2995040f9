package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.ptq.data.Digests;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.PythonText;
import dev.ptq.evaluate.Request;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Real documents, a real vocabulary and recorded scores, where they lie beside the checkout: {@link GoldenRun}. */
class GoldenRunsTest {
    private static final int UNCUT = 1 << 20;

    @TempDir
    Path folder;

    private interface Check {
        void of(GoldenRun run, TextEncoding encoding) throws IOException;
    }

    /** Others are shorter and have what these have: subjects, examples, documents of the same kind. */
    private static final Set<String> LONG = Set.of(
            "lambada_openai",
            "lambada_openai_add_bos_false",
            "arc_challenge",
            "mmlu",
            "mmlu_5shot",
            "arc_easy_5shot",
            "openbookqa_5shot");

    private static Stream<DynamicTest> eachRun(Check check) throws IOException {
        return eachRun(run -> true, check);
    }

    private static Stream<DynamicTest> eachShortRun(Check check) throws IOException {
        return eachRun(run -> !LONG.contains(run.name()), check);
    }

    private static Stream<DynamicTest> eachLongRun(Check check) throws IOException {
        return eachRun(run -> LONG.contains(run.name()), check);
    }

    private static Stream<DynamicTest> eachRun(Predicate<GoldenRun> which, Check check) throws IOException {
        return GoldenRun.all().stream()
                .filter(which)
                .map(run -> DynamicTest.dynamicTest(run.name(), () -> {
                    try (Tokenizer tokenizer = Tokenizer.open(GoldenRun.model().orElseThrow())) {
                        check.of(run, TextEncoding.of(tokenizer, run.settings()));
                    }
                }));
    }

    private static List<Document> documents(GoldenRun run) throws IOException {
        TaskData data = run.data();
        List<String> problems = new ArrayList<>();
        List<Document> documents = new ArrayList<>();
        for (Task task : run.settings().tasks()) {
            documents.addAll(Documents.of(task, run.settings(), data, problems).documents());
        }
        assertThat(problems).isEmpty();
        return documents;
    }

    @Test
    void hasAllRuns() throws IOException {
        List<GoldenRun> runs = GoldenRun.all();
        assumeFalse(runs.isEmpty(), "no folder ../shared with golden/tasks.json, data/tasks and models/stories260k");
        assertThat(runs).hasSize(22);
    }

    @TestFactory
    Stream<DynamicTest> encodesTheSameIds() throws IOException {
        return eachRun((run, encoding) -> {
            Encoder whole = new Encoder(encoding, UNCUT, run.settings());
            List<Document> documents = documents(run);
            int compared = 0;
            for (JsonNode item : run.json().path("items")) {
                String task = item.has("task") ? item.get("task").asString() : run.task();
                Document document = documents.stream()
                        .filter(one -> one.task().name().equals(task)
                                && one.id() == item.get("doc_id").asInt())
                        .findFirst()
                        .orElseThrow();
                List<Request> requests = whole.encode(document).requests();
                assertThat(requests).hasSize(item.get("conts").size());
                for (int i = 0; i < requests.size(); i++) {
                    int[] continuation = ints(item.get("conts").get(i));
                    int[] context = ints(item.has("ctxs") ? item.get("ctxs").get(i) : item.get("ctx"));
                    assertThat(requests.get(i).scored()).isEqualTo(continuation.length);
                    assertThat(requests.get(i).ids())
                            .as(document.label())
                            .isEqualTo(IntStream.concat(Arrays.stream(context), Arrays.stream(continuation))
                                    .toArray());
                }
                Sample.Hashes hashes = Sample.hashes(document);
                assertThat(List.of(hashes.document(), hashes.prompt(), hashes.target()))
                        .as(document.label())
                        .containsExactly(
                                item.get("doc_hash").asString(),
                                item.get("prompt_hash").asString(),
                                item.get("target_hash").asString());
                if (item.has("gold")) {
                    assertThat(document.gold()).isEqualTo(item.get("gold").asInt());
                }
                for (int i = 0; i < item.path("choice_chars").size(); i++) {
                    assertThat(PythonText.characters(document.choices().get(i)))
                            .isEqualTo(item.get("choice_chars").get(i).asInt());
                }
                compared++;
            }
            for (int i = 0; i < run.json().path("text_sha256").size(); i++) {
                Document page = documents.get(i);
                assertThat(Digests.hexOfText(page.asked().get(0).continuation()))
                        .isEqualTo(run.json().get("text_sha256").get(i).asString());
                if (run.json().get("token_ids").isArray()) {
                    int[] ids = whole.encode(page).requests().get(0).ids();
                    assertThat(Arrays.copyOfRange(ids, 1, ids.length))
                            .isEqualTo(ints(run.json().get("token_ids").get(i)));
                }
                compared++;
            }
            assertThat(compared).isGreaterThanOrEqualTo(run.name().equals("mmlu_limit1") ? 0 : 5);
        });
    }

    @TestFactory
    Stream<DynamicTest> makesTheSameRequests() throws IOException {
        return eachShortRun(GoldenRunsTest::assertSameRequests);
    }

    @TestFactory
    @Tag("slow")
    Stream<DynamicTest> makesTheSameRequestsOfLongRuns() throws IOException {
        return eachLongRun(GoldenRunsTest::assertSameRequests);
    }

    private static void assertSameRequests(GoldenRun run, TextEncoding encoding) throws IOException {
        Encoder encoder = new Encoder(encoding, GoldenRun.MAX_TOKENS, run.settings());
        Encoder whole = new Encoder(encoding, UNCUT, run.settings());
        int requests = 0;
        int truncated = 0;
        int calls = 0;
        int longest = 0;
        List<int[]> windows = new ArrayList<>();
        List<Document> documents = documents(run);
        Set<List<Integer>> inputs = new HashSet<>();
        for (Document document : documents) {
            Encoder.Encoded encoded = encoder.encode(document);
            requests += encoded.requests().size();
            truncated += encoded.truncated();
            assertThat(encoded.alone()).isZero();
            for (Request request : encoded.requests()) {
                int[] ids = request.ids();
                calls +=
                        inputs.add(Arrays.stream(ids, 0, ids.length - 1).boxed().toList()) ? 1 : 0;
                windows.add(new int[] {ids.length - request.scored(), request.scored()});
            }
            longest = Math.max(
                    longest,
                    whole.encode(document).requests().stream()
                            .mapToInt(request -> request.ids().length)
                            .max()
                            .orElse(0));
        }
        JsonNode json = run.json();
        if (json.has("requests")) {
            assertThat(List.of(documents.size(), requests, truncated, calls, longest))
                    .containsExactly(
                            json.has("n_total")
                                    ? json.get("n_total").asInt()
                                    : json.get("n").asInt(),
                            json.get("requests").asInt(),
                            json.get("truncated_requests").asInt(),
                            json.get("model_calls_batch_1").asInt(),
                            json.get("longest_request_tokens").asInt());
        } else {
            List<int[]> expected = new ArrayList<>();
            json.get("fp32")
                    .get("items")
                    .forEach(item -> item.get("windows_ctx_cont_ll")
                            .forEach(window -> expected.add(new int[] {
                                window.get(0).asInt(), window.get(1).asInt()
                            })));
            assertThat(windows.toArray(int[][]::new)).isDeepEqualTo(expected.toArray(int[][]::new));
        }
    }

    /** What a model said, as it was recorded; a real one can be put in its place. */
    @TestFactory
    Stream<DynamicTest> takesTheSameMetricsOfRecordedScores() throws IOException {
        return eachShortRun(this::assertSameMetrics);
    }

    @TestFactory
    @Tag("slow")
    Stream<DynamicTest> takesTheSameMetricsOfLongRuns() throws IOException {
        return eachLongRun(this::assertSameMetrics);
    }

    private void assertSameMetrics(GoldenRun run, TextEncoding encoding) throws IOException {
        TaskEvaluation evaluation = TaskEvaluation.prepare(run.settings(), run.data(), encoding, GoldenRun.MAX_TOKENS);
        for (String variant : run.variants()) {
            Path samples = Files.createDirectories(
                    folder.resolve(run.name().replace(':', '-')).resolve(variant));
            run.assertMetrics(evaluation.run(run.recorded(variant), samples), variant);
        }
    }

    /** Each token of a page once, unless the harness's way is asked for. */
    @Test
    void pagesStartWithOneStartTokenByDefault() throws IOException {
        List<GoldenRun> runs = GoldenRun.all();
        assumeFalse(runs.isEmpty(), "no folder ../shared with golden/tasks.json, data/tasks and models/stories260k");
        GoldenRun plain = run(runs, "wikitext:tinystories");
        GoldenRun without = run(runs, "wikitext:tinystories_add_bos_false");
        try (Tokenizer tokenizer = Tokenizer.open(GoldenRun.model().orElseThrow())) {
            for (Document page : documents(plain)) {
                List<int[]> own = ids(page, plain.settings(List.of()), tokenizer);
                assertThat(own).containsExactlyElementsOf(ids(page, without.settings(), tokenizer));
                assertThat(own.get(0)[0]).isEqualTo(1);
                assertThat(own.get(0)[1]).isNotEqualTo(1);
            }
        }
    }

    private static List<int[]> ids(Document page, TasksSettings settings, Tokenizer tokenizer) throws IOException {
        Encoder encoder = new Encoder(TextEncoding.of(tokenizer, settings), GoldenRun.MAX_TOKENS, settings);
        return encoder.encode(page).requests().stream().map(Request::ids).toList();
    }

    private static GoldenRun run(List<GoldenRun> runs, String name) {
        return runs.stream().filter(run -> run.name().equals(name)).findFirst().orElseThrow();
    }

    private static int[] ints(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false)
                .mapToInt(JsonNode::asInt)
                .toArray();
    }
}
