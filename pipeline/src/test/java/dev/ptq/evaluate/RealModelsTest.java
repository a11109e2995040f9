package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.data.Tokenizer;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Scoring;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Two real models against the transformers library, where the folder {@code PTQ_REAL_MODELS} has them; see
 * {@code golden/REAL.md} of the shared files.
 */
@Tag("slow")
class RealModelsTest {
    private static Path model(String name) {
        String folder = System.getenv("PTQ_REAL_MODELS");
        assumeTrue(folder != null, "PTQ_REAL_MODELS names no folder");
        Path model = Path.of(folder, name);
        assumeTrue(Files.isDirectory(model), "no folder " + model);
        return model;
    }

    private static JsonNode golden() throws IOException {
        return JsonMapper.shared().readTree(Files.readAllBytes(Shared.golden("real.json")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"smollm2-135m", "gemma3-270m"})
    void tokensAreThoseOfTheReference(String name) throws IOException {
        try (Tokenizer tokenizer = Tokenizer.open(model(name))) {
            int texts = 0;
            for (JsonNode text : golden().path("tokens")) {
                String content = text.path("text").asString();
                assertThat(tokenizer.encodePlain(content))
                        .as(content)
                        .isEqualTo(ints(text.path(name).path("ids")));
                texts++;
            }
            assertThat(texts).isEqualTo(195);
        }
    }

    /** Gemma's windows end within chunks of 1024 only. */
    @ParameterizedTest
    @CsvSource({
        "smollm2-135m, tinystories, 64, 2e-5",
        "smollm2-135m, wikitext2-test, 128, 2e-5",
        "gemma3-270m, tinystories, 64, 5e-5",
        "gemma3-270m, wikitext2-test, 36, 5e-5",
        "gemma3-270m, wikitext2-test-1024, 3, 5e-5",
    })
    void lossesAreThoseOfTheReference(String name, String text, int chunks, double tolerance) throws IOException {
        JsonNode expected = golden().path("perplexity").path(name).path(text);
        int[] ids;
        try (Tokenizer tokenizer = Tokenizer.open(model(name))) {
            ids = tokenizer.encode(text(text));
        }
        assertThat(ids).hasSize(expected.path("tokens").asInt());
        assertThat(ids).startsWith(ints(expected.path("first_ids")));
        int length = expected.path("seq_len").asInt();
        int[][] samples = new int[chunks][];
        for (int i = 0; i < chunks; i++) {
            samples[i] = Arrays.copyOfRange(ids, i * length, (i + 1) * length);
        }
        try (LanguageModel opened = LanguageModel.open(model(name));
                HiddenStates states = opened.embed(samples, 1);
                BlockRunner runner = new BlockRunner(opened, BlockChange.none(), false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            double[][] losses = Scoring.nextTokenLosses(opened, states, samples);
            assertThat(Arrays.stream(losses)
                            .flatMapToDouble(Arrays::stream)
                            .average()
                            .orElseThrow())
                    .isCloseTo(expected.path("loss").asDouble(), within(5e-6));
            for (int i = 0; i < chunks; i++) {
                assertThat(Arrays.stream(losses[i]).average().orElseThrow())
                        .as("chunk %s", i)
                        .isCloseTo(expected.path("chunk_losses").path(i).asDouble(), within(tolerance));
            }
        }
    }

    private static String text(String name) throws IOException {
        if (name.equals("tinystories")) {
            return Files.readString(Shared.find("data/tinystories/test.txt").orElseThrow());
        }
        String file = Files.readString(Shared.find("data/wikitext2/test.txt").orElseThrow());
        return file.replace("<unk>", "unk")
                .lines()
                .map(line -> line.isBlank() ? "" : line + "\n")
                .collect(Collectors.joining("\n\n"));
    }

    private static int[] ints(JsonNode list) {
        int[] values = new int[list.size()];
        Arrays.setAll(values, i -> list.path(i).asInt());
        return values;
    }
}
