package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Whole runs of two real models, against what the transformers library and the EleutherAI harness make of them; see {@code
 * golden/REAL.md} of the shared files. {@code PTQ_REAL_MODELS} names the folder of the models.
 */
@Tag("slow")
class RealModelRunsTest {
    /**
     * Log-likelihoods that the transformers library gives with weights and arithmetic in float64, where the harness in
     * float32 is farther from them than its tolerance.
     */
    private static final Map<String, Double> IN_FLOAT64 = Map.of("openbookqa 12, choice 2", -3.0153566);

    @TempDir
    private Path folder;

    private TinyExperiment tiny;
    private JsonNode golden;

    @BeforeEach
    void read() throws IOException {
        tiny = new TinyExperiment(folder);
        golden = JsonMapper.shared().readTree(Files.readAllBytes(Shared.golden("real.json")));
    }

    private static String model(String name) {
        String models = System.getenv("PTQ_REAL_MODELS");
        assumeTrue(models != null, "PTQ_REAL_MODELS names no folder");
        Path model = Path.of(models, name);
        assumeTrue(Files.isDirectory(model), "no folder " + model);
        return "[model]\npath = \"" + model + "\"\n";
    }

    private void run(String toml) throws IOException {
        Outcome outcome = tiny.run(toml, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
    }

    private void rows(List<String> texts) throws IOException {
        List<String> lines = new ArrayList<>();
        texts.forEach(text -> lines.add(
                JsonMapper.shared().createObjectNode().put("text", text).toString()));
        Files.write(folder.resolve("rows.jsonl"), lines);
    }

    private List<Double> chunkLosses() throws IOException {
        return Files.readAllLines(tiny.result("tag/evaluate/quantized/rows/chunks.csv")).stream()
                .skip(1)
                .map(line -> Double.parseDouble(line.split(",", -1)[1]))
                .toList();
    }

    @ParameterizedTest
    @CsvSource({"smollm2-135m, 2e-5", "gemma3-270m, 5e-5"})
    void documentsRollThroughTheWindow(String name, double tolerance) throws IOException {
        String model = model(name);
        JsonNode expected = golden.path("perplexity").path(name).path("rolling");
        List<String> texts = new ArrayList<>();
        expected.path("documents")
                .forEach(document -> texts.add(document.path("text").asString()));
        rows(texts);
        run(model + """
                [evaluation]
                [[evaluation.perplexity]]
                name = "rows"
                dataset = "DIR/rows.jsonl"
                protocol = "rolling"
                seq_len = %d
                """.formatted(expected.path("window").asInt()));
        assertThat(tiny.metrics("tag").get("perplexity/rows/loss"))
                .isCloseTo(expected.path("loss").asDouble(), within(tolerance));
        for (String metric : List.of("word_perplexity", "byte_perplexity")) {
            double right = expected.path(metric).asDouble();
            assertThat(tiny.metrics("tag").get("perplexity/rows/" + metric))
                    .isCloseTo(right, within(4 * tolerance * right));
        }
        assertThat(tiny.metrics("tag").get("perplexity/rows/tokens"))
                .isEqualTo(expected.path("tokens").asDouble());
    }

    @Test
    void weightsAreRoundedInBlocks() throws IOException {
        String model = model("smollm2-135m");
        JsonNode expected = golden.path("weights_only_mxint").path("mxint4-block-1x16");
        rows(wikitext());
        run(model + """
                [quantization.weight]
                format = "mxint"
                bits = 4
                block_size = [1, 16]
                [evaluation]
                baselines = []
                [[evaluation.perplexity]]
                name = "rows"
                dataset = "DIR/rows.jsonl"
                seq_len = 512
                max_samples = 8
                """);
        List<Double> losses = chunkLosses();
        assertThat(losses).hasSize(8);
        for (int i = 0; i < 8; i++) {
            assertThat(losses.get(i))
                    .as("chunk %d", i)
                    .isCloseTo(expected.path("chunk_losses").path(i).asDouble(), within(1e-4));
        }
        assertThat(tiny.metrics("tag").get("mean_relative_weight_error"))
                .as("to the digits of its table")
                .isCloseTo(expected.path("mean_relative_weight_error").asDouble(), within(5e-6));
    }

    /** The first shard of the text ends at chunk 81. */
    @Test
    void textsAreCutInShards() throws IOException {
        String model = model("smollm2-135m");
        JsonNode expected = golden.path("perplexity").path("smollm2-135m").path("wikitext2-test-lqer");
        rows(wikitext());
        run(model + """
                [evaluation]
                [[evaluation.perplexity]]
                name = "rows"
                dataset = "DIR/rows.jsonl"
                protocol = "lqer"
                seq_len = 512
                batch_size = 4
                max_samples = 88
                """);
        List<Double> losses = chunkLosses();
        expected.path("losses_of_chunks")
                .properties()
                .forEach(chunk -> assertThat(losses.get(Integer.parseInt(chunk.getKey())))
                        .as("chunk %s", chunk.getKey())
                        .isCloseTo(chunk.getValue().asDouble(), within(2e-5)));
    }

    private static List<String> wikitext() throws IOException {
        try (Stream<String> lines =
                Files.lines(Shared.find("data/wikitext2/test.txt").orElseThrow())) {
            return lines.map(line -> line.isBlank() ? "" : line.replace("<unk>", "unk") + "\n")
                    .toList();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "winogrande",
                "openbookqa",
                "piqa",
                "arc_easy",
                "lambada_openai",
                "boolq",
                "hellaswag",
                "arc_easy_5shot",
                "openbookqa_5shot"
            })
    void tasksAreThoseOfTheHarness(String name) throws IOException {
        String model = model("smollm2-135m");
        JsonNode expected = golden.path("tasks").path("smollm2-135m").path(name);
        String task = expected.path("task").asString();
        run(model
                + """
                [evaluation]
                [evaluation.tasks]
                names = ["%s"]
                data = "%s"
                num_fewshot = %d
                limit = %d
                bootstrap = 0
                """.formatted(
                                task,
                                Shared.find("data/tasks").orElseThrow(),
                                expected.path("num_fewshot").asInt(),
                                expected.path("n").asInt()));
        List<String> lines =
                Files.readAllLines(tiny.result("tag/evaluate/quantized/tasks/" + task + "/samples_" + task + ".jsonl"));
        assertThat(lines).hasSize(expected.path("items").size());
        for (int i = 0; i < lines.size(); i++) {
            compare(
                    name + " " + i,
                    JsonMapper.shared().readTree(lines.get(i)),
                    expected.path("items").path(i));
        }
        expected.path("metrics").properties().forEach(metric -> {
            if (!metric.getKey().endsWith("_stderr")) {
                double right = metric.getValue().asDouble();
                try {
                    assertThat(tiny.metrics("tag").get(task + "/" + metric.getKey()))
                            .as(metric.getKey())
                            .isCloseTo(right, within(2e-5 * right));
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
        });
    }

    private static void compare(String name, JsonNode line, JsonNode expected) {
        for (int choice = 0; choice < expected.path("ll").size(); choice++) {
            JsonNode response = line.path("filtered_resps").path(choice);
            double found = Double.parseDouble(response.path(0).asString());
            int tokens = expected.path("scored_tokens").path(choice).asInt();
            Double exact = IN_FLOAT64.get(name + ", choice " + choice);
            double right =
                    exact != null ? exact : expected.path("ll").path(choice).asDouble();
            assertThat(found)
                    .as("%s, choice %d", name, choice)
                    .isCloseTo(right, within(2e-5 + (exact != null ? 0 : 1.6e-5) * tokens));
            if (expected.has("ll_float64_softmax")) {
                assertThat(found)
                        .as("%s, choice %d", name, choice)
                        .isCloseTo(
                                expected.path("ll_float64_softmax").path(choice).asDouble(),
                                within(2e-5 + 6e-6 * tokens));
            }
            if (expected.has("greedy")) {
                assertThat(response.path(1).asString().equals("True"))
                        .as("%s, choice %d", name, choice)
                        .isEqualTo(expected.path("greedy").path(choice).asInt() == 1);
            }
        }
        for (String metric : new String[] {"acc", "acc_norm"}) {
            if (expected.has(metric)) {
                assertThat(line.path(metric).asDouble())
                        .as("%s, %s", name, metric)
                        .isEqualTo(expected.path(metric).asDouble());
            }
        }
    }
}
