package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import dev.ptq.report.ResultRow;
import dev.ptq.report.Results;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class TaskResultsTest {
    private static final JsonMapper JSON = JsonMapper.shared();

    @TempDir
    Path folder;

    private TaskResults results(String toml) throws IOException {
        return results(toml, new TaskFolder(TestSettings.data()), 64);
    }

    private TaskResults results(String toml, TaskData data, int maxTokens) throws IOException {
        return TaskEvaluation.prepare(TestSettings.of(toml), data, ToyModel.encoding(false), maxTokens)
                .run(new ToyModel(), Files.createTempDirectory(folder, "samples"));
    }

    @Test
    void metricsAreFlat() throws IOException {
        assertThat(results("names = ['boolq', 'wikitext']\nlimit = 2\nquirks = ['scored_bos']")
                        .metrics()
                        .keySet())
                .containsExactly(
                        "boolq/acc",
                        "boolq/acc_stderr",
                        "boolq/documents",
                        "boolq/truncated",
                        "boolq/num_fewshot",
                        "boolq/limit",
                        "boolq/version",
                        "boolq/profile",
                        "boolq/quirks",
                        "wikitext/word_perplexity",
                        "wikitext/byte_perplexity",
                        "wikitext/bits_per_byte",
                        "wikitext/documents",
                        "wikitext/num_fewshot",
                        "wikitext/limit",
                        "wikitext/version",
                        "wikitext/profile",
                        "wikitext/quirks");
        Map<String, Object> metrics = results("names = ['arc_easy']").metrics();
        assertThat(metrics)
                .containsEntry("arc_easy/acc", 1 / 3.0)
                .containsEntry("arc_easy/documents", 3)
                .containsEntry("arc_easy/num_fewshot", 0)
                .containsEntry("arc_easy/version", 1.0)
                .containsEntry("arc_easy/profile", "harness-0.4")
                .doesNotContainKeys("arc_easy/limit", "arc_easy/quirks", "arc_easy/encoded_alone");
    }

    @Test
    void aPerplexityIsCalledAsTheProfileCallsIt() throws IOException {
        assertThat(results("names = ['lambada_openai']").metrics())
                .containsKeys("lambada_openai/perplexity", "lambada_openai/perplexity_stderr", "lambada_openai/acc");
        assertThat(results("names = ['lambada_openai']\nprofile = 'lqer-0.3'").metrics())
                .containsKeys("lambada_openai/ppl", "lambada_openai/ppl_stderr", "lambada_openai/acc")
                .doesNotContainKey("lambada_openai/perplexity");
    }

    @Test
    void resamplesAreAsManyAsAskedFor() throws IOException {
        String lambada = "names = ['lambada_openai']\nbootstrap = ";
        Map<String, Object> none = results(lambada + 0).metrics();
        assertThat(none).doesNotContainKeys("lambada_openai/perplexity_stderr", "lambada_openai/acc_stderr");
        assertThat(results(lambada + 1).metrics())
                .doesNotContainKey("lambada_openai/perplexity_stderr")
                .containsKey("lambada_openai/acc_stderr");
        Object few = results(lambada + 10).metrics().get("lambada_openai/perplexity_stderr");
        assertThat(few).isNotEqualTo(results(lambada + 1500).metrics().get("lambada_openai/perplexity_stderr"));
        assertThat(results(lambada + 10).table()).contains("standard error of a perplexity: 10 resamples");
    }

    @Test
    void oneDocumentHasNoError() throws IOException {
        assertThat(results("names = ['boolq']\nlimit = 1").metrics())
                .containsKey("boolq/acc")
                .doesNotContainKey("boolq/acc_stderr");
    }

    @Test
    void theTableIsThatOfTheHarness() throws IOException {
        TaskEvaluation evaluation = TaskEvaluation.prepare(
                TestSettings.of("names = ['wikitext', 'piqa']\nprofile = 'lqer-0.3'"),
                new TaskFolder(TestSettings.data()),
                ToyModel.encoding(false),
                99);
        RequestScorer sure = (name, requests) -> Collections.nCopies(requests.size(), new Score(-1, false));
        assertThat(evaluation.run(sure, folder).table().lines().toList())
                .containsExactly(
                        "| Tasks    | Version | Filter | n-shot | Metric          |   |  Value |   | Stderr |",
                        "|----------|--------:|--------|-------:|-----------------|---|-------:|---|-------:|",
                        "| wikitext |       1 | none   |      0 | bits_per_byte   | ↓ | 0.0246 | ± |    N/A |",
                        "|          |         | none   |      0 | byte_perplexity | ↓ | 1.0172 | ± |    N/A |",
                        "|          |         | none   |      0 | word_perplexity | ↓ | 1.0594 | ± |    N/A |",
                        "| piqa     |       0 | none   |      0 | acc             | ↑ | 0.6667 | ± | 0.3333 |",
                        "|          |         | none   |      0 | acc_norm        | ↑ | 0.6667 | ± | 0.3333 |");
    }

    @Test
    void groupsAreOverAllDocuments() throws IOException {
        TaskRows rows = mmlu();
        TaskResults results = results("names = ['mmlu']", rows, 2048);
        Map<String, Object> metrics = results.metrics();
        double right = 0;
        int documents = 0;
        for (Task task : TestSettings.of("names = ['mmlu']").tasks()) {
            int own = (int) number(metrics, task.name() + "/documents");
            right += number(metrics, task.name() + "/acc") * own;
            documents += own;
        }
        assertThat(documents).isEqualTo(57 * 2 + 3);
        assertThat(number(metrics, "mmlu/acc")).isEqualTo(right / documents);
        assertThat(metrics)
                .containsEntry("mmlu/documents", documents)
                .containsEntry("mmlu/version", "2")
                .containsEntry("mmlu_stem/documents", 19 * 2 + 1)
                .containsKeys("mmlu_stem/acc", "mmlu_stem/acc_stderr", "mmlu_virology/acc_stderr")
                .doesNotContainKeys("mmlu_stem/version", "mmlu_virology/profile");
        List<String> lines = results.table().lines().toList();
        assertThat(lines).hasSize(2 + 1 + 4 + 57);
        assertThat(lines.get(2)).startsWith("| mmlu ").contains("|       2 |");
        assertThat(lines.get(3)).startsWith("|  - stem ");
        assertThat(lines.get(4)).startsWith("|   - abstract_algebra ").contains("|       1 |");

        JsonNode harness = results.harness(JSON.createObjectNode(), JSON.createObjectNode());
        assertThat(harness.get("groups").propertyNames())
                .containsExactly("mmlu", "mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities");
        assertThat(harness.get("groups").get("mmlu").get("sample_count").asInt())
                .isEqualTo(documents);
        assertThat(harness.get("group_subtasks").get("mmlu").get(0).asString()).isEqualTo("mmlu_stem");
        assertThat(harness.get("group_subtasks").get("mmlu_stem").size()).isEqualTo(19);
        assertThat(harness.get("versions").get("mmlu").asString()).isEqualTo("2");
        assertThat(harness.get("results").get("mmlu_virology").get("alias").asString())
                .isEqualTo("  - virology");
        assertThat(harness.get("n-samples").get("mmlu_virology").toString())
                .isEqualTo("{\"original\":2,\"effective\":2}");
    }

    private static double number(Map<String, Object> metrics, String key) {
        return ((Number) Objects.requireNonNull(metrics.get(key), key)).doubleValue();
    }

    private static TaskRows mmlu() {
        TaskRows rows = new TaskRows();
        for (Task task : TestSettings.of("names = ['mmlu']").tasks()) {
            List<ObjectNode> documents = new ArrayList<>();
            int count = List.of("mmlu_virology", "mmlu_anatomy", "mmlu_prehistory", "mmlu_sociology")
                                    .indexOf(task.name())
                            > 0
                    ? 3
                    : 2;
            for (int i = 0; i < count; i++) {
                ObjectNode document = JSON.createObjectNode().put("question", task.name() + i);
                document.put("subject", task.name().substring(5));
                document.putArray("choices").add("a").add("b").add("c").add("d");
                documents.add(document.put("answer", i + 1));
            }
            rows.put(task.name(), "test", documents);
        }
        return rows;
    }

    @Test
    void theHarnessFileHasItsKeys() throws IOException {
        ObjectNode config = JSON.createObjectNode().put("model", "ours");
        ObjectNode identity = JSON.createObjectNode().put("date", 1.5).put("git_hash", "abc");
        JsonNode file = results("names = ['piqa']\nlimit = 2", new TaskFolder(TestSettings.data()), 2048)
                .harness(config, identity);
        assertThat(file.propertyNames())
                .containsExactlyInAnyOrder(
                        "results",
                        "group_subtasks",
                        "configs",
                        "versions",
                        "n-shot",
                        "higher_is_better",
                        "n-samples",
                        "config",
                        "task_hashes",
                        "date",
                        "git_hash");
        assertThat(file.get("results").get("piqa").propertyNames())
                .containsExactly(
                        "name",
                        "alias",
                        "sample_len",
                        "acc,none",
                        "acc_stderr,none",
                        "acc_norm,none",
                        "acc_norm_stderr,none");
        assertThat(file.get("versions").toString()).isEqualTo("{\"piqa\":1.0}");
        assertThat(file.get("n-shot").toString()).isEqualTo("{\"piqa\":0}");
        assertThat(file.get("higher_is_better").toString()).isEqualTo("{\"piqa\":{\"acc\":true,\"acc_norm\":true}}");
        assertThat(file.get("n-samples").toString()).isEqualTo("{\"piqa\":{\"original\":3,\"effective\":2}}");
        assertThat(file.get("config").get("model").asString()).isEqualTo("ours");
        assertThat(file.get("config").get("profile").asString()).isEqualTo("harness-0.4");
        assertThat(file.get("config").get("limit").asDouble()).isEqualTo(2);
        assertThat(file.get("config").get("bootstrap_iters").asInt()).isEqualTo(1000);
        assertThat(file.get("config").get("fewshot_seed").asInt()).isEqualTo(1234);
        assertThat(file.get("config").get("add_bos_token").isNull()).isTrue();
        assertThat(results("names = ['piqa']\nprofile = 'lqer-0.3'\nadd_bos = true")
                        .harness(config, identity)
                        .get("config")
                        .toString())
                .contains("\"profile\":\"lqer-0.3\"", "\"fewshot_seed\":42", "\"add_bos_token\":true");
        assertThat(file.get("configs").get("piqa").toString())
                .isEqualTo("{\"task\":\"piqa\",\"dataset_path\":\"baber/piqa\",\"training_split\":\"train\","
                        + "\"validation_split\":\"validation\",\"doc_to_text\":\"Question: {goal}\\nAnswer:\","
                        + "\"doc_to_target\":\"{label}\",\"doc_to_choice\":[\"{sol1}\",\"{sol2}\"],\"description\":\"\","
                        + "\"target_delimiter\":\" \",\"fewshot_delimiter\":\"\\n\\n\",\"num_fewshot\":0,"
                        + "\"metric_list\":[{\"metric\":\"acc\",\"higher_is_better\":true},"
                        + "{\"metric\":\"acc_norm\",\"higher_is_better\":true}],\"output_type\":\"multiple_choice\","
                        + "\"repeats\":1,\"metadata\":{\"version\":1.0}}");
        assertThat(file.get("task_hashes").get("piqa").asString()).matches("[0-9a-f]{64}");
    }

    /** New shape to older shape to a table: no accuracy is lost on the way, as our own collector reads both. */
    @Test
    void lqersFileKeepsEveryAccuracy() throws IOException {
        for (String profile : List.of("harness-0.4", "lqer-0.3")) {
            TaskResults results =
                    results("names = ['arc_easy', 'lambada_openai', 'copa']\nprofile = '" + profile + "'");
            JsonNode lqer = results.lqer("pretrained=x");
            assertThat(lqer.propertyNames()).containsExactly("results", "versions", "config");
            assertThat(lqer.get("results").get("lambada_openai").propertyNames())
                    .containsExactlyInAnyOrder("acc", "acc_stderr", "ppl", "ppl_stderr");
            Path run = Files.createDirectories(folder.resolve(profile));
            Files.writeString(run.resolve("harness_results.json"), lqer.toString());
            ResultRow row = Results.read(List.of(run)).rows().get(0);
            Map<String, Object> metrics = results.metrics();
            for (String task : List.of("arc_easy", "lambada_openai", "copa")) {
                for (String metric : List.of("acc", "acc_stderr", "num_fewshot", "version")) {
                    String key = task + "/" + metric;
                    assertThat(number(row.metrics(), key)).isEqualTo(number(metrics, key));
                }
            }
        }
    }

    @Test
    void aLineIsAsInTheHarnessLog() throws IOException {
        Path samples = Files.createDirectories(folder.resolve("log"));
        TaskEvaluation.prepare(
                        TestSettings.of("names = ['copa', 'wikitext']\nlimit = 1"),
                        new TaskFolder(TestSettings.data()),
                        ToyModel.encoding(false),
                        2048)
                .run(new ToyModel(), samples);
        JsonNode copa = JSON.readTree(Files.readString(samples.resolve("samples_copa.jsonl")));
        assertThat(copa.propertyNames())
                .containsExactly(
                        "doc_id",
                        "doc",
                        "target",
                        "arguments",
                        "resps",
                        "filtered_resps",
                        "filter",
                        "metrics",
                        "doc_hash",
                        "prompt_hash",
                        "target_hash",
                        "acc");
        assertThat(copa.get("arguments").toString())
                .isEqualTo(
                        "{\"gen_args_0\":{\"arg_0\":\"The floor was wet because\",\"arg_1\":\"  the pipe had burst.\"},"
                                + "\"gen_args_1\":{\"arg_0\":\"The floor was wet because\",\"arg_1\":\"  the lamp was bright.\"}}");
        assertThat(copa.get("resps").get(0).get(0))
                .isEqualTo(copa.get("filtered_resps").get(0));
        assertThat(copa.get("filtered_resps").get(0).get(0).asString()).startsWith("-217.80");
        assertThat(copa.get("filtered_resps").get(0).get(1).asString()).isEqualTo("False");
        assertThat(copa.get("acc").asDouble()).isZero();
        JsonNode page = JSON.readTree(Files.readString(samples.resolve("samples_wikitext.jsonl")));
        assertThat(page.get("arguments").get("gen_args_0").propertyNames()).containsExactly("arg_0");
        assertThat(page.get("filtered_resps").get(0).isString()).isTrue();
        assertThat(page.get("word_perplexity").size()).isEqualTo(2);
        assertThat(page.get("byte_perplexity").get(1).asDouble()).isEqualTo(90);
    }
}
