package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.family.ModelConfig;
import dev.ptq.gguf.FamilyAsGguf;
import dev.ptq.layout.StoredCheckpoint;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tiny models of every family that GGUF files are read for, as a folder and as such a file: the same model. */
class GgufFamiliesTest {
    @TempDir
    private Path folder;

    /** Divisors of frequencies are float32 in the file, which moves logits by their last digits. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "llama",
                "llama-biases-headdim",
                "llama-rope-linear",
                "llama-rope-llama3",
                "llama-rope-yarn",
                "mistral",
                "mistral-headdim",
                "mixtral",
                "qwen2",
                "qwen3",
                "gemma2",
                "gemma3",
                "phi3",
                "phi3-longrope"
            })
    void isTheModelOfTheFolder(String name) throws IOException {
        Optional<Path> golden = Shared.find("golden/families/" + name);
        assumeTrue(golden.isPresent());
        Path file = FamilyAsGguf.of(golden.get()).write(folder.resolve("model.gguf"));
        assertSame(golden.get(), file, name.contains("rope") || name.startsWith("gemma") ? 1e-6 : 0);
        Path first = FamilyAsGguf.of(golden.get()).writeParts(folder, "parts", 3);
        assertSame(file, first, 0);
    }

    @Test
    void expertsMayHaveTensorsOfTheirOwn() throws IOException {
        Optional<Path> golden = Shared.find("golden/families/mixtral");
        assumeTrue(golden.isPresent());
        assertSame(golden.get(), FamilyAsGguf.withExpertsApart(golden.get()).write(folder.resolve("model.gguf")), 0);
    }

    /** The one that the tests carry. */
    @Test
    void isTheModelOfTheFolderOfTheResources() throws IOException {
        Path model = TinyFamilies.few().stream()
                .filter(each -> each.endsWith("phi3"))
                .findFirst()
                .orElseThrow();
        assertSame(model, FamilyAsGguf.of(model).write(folder.resolve("model.gguf")), 0);
    }

    /** A llama with an own head, of which the tests have the maker. */
    @Test
    void isTheSyntheticModel() throws IOException {
        Path model = SyntheticModel.llama().vocabulary(256).layers(2).write(folder.resolve("llama"));
        assertSame(model, FamilyAsGguf.of(model).write(folder.resolve("model.gguf")), 0);
    }

    private void assertSame(Path expected, Path actual, double tolerance) throws IOException {
        // the shape of the model that a folder of version 4 describes is the same, but may have other names for it
        assertThat(ModelConfig.read(actual).blocks())
                .isEqualTo(ModelConfig.read(expected).blocks());
        try (LanguageModel first = LanguageModel.open(expected);
                LanguageModel second = LanguageModel.open(actual)) {
            assertThat(LanguageModel.inspect(ModelConfig.read(actual), StoredCheckpoint.open(actual))
                            .notes())
                    .isEmpty();
            for (String name : first.weights().names()) {
                try (NDManager manager = TensorEngine.newManager()) {
                    assertThat(second.weights()
                                    .load(manager, name)
                                    .contentEquals(first.weights().load(manager, name)))
                            .as(name)
                            .isTrue();
                }
            }
            int[][] chunks = {new int[48], new int[48]};
            for (int i = 0; i < 48; i++) {
                chunks[0][i] = (i * 37 + 5) % 250;
                chunks[1][i] = (i * i + 3 * i) % 250;
            }
            float[] one = logits(first, chunks);
            float[] other = logits(second, chunks);
            double largest = 0;
            double off = 0;
            for (int i = 0; i < one.length; i++) {
                largest = Math.max(largest, Math.abs(one[i]));
                off = Math.max(off, Math.abs(one[i] - other[i]));
            }
            assertThat(largest).isPositive();
            assertThat(off / largest).isLessThanOrEqualTo(tolerance);
        }
    }

    private static float[] logits(LanguageModel model, int[][] chunks) throws IOException {
        try (HiddenStates states = model.embed(chunks, chunks.length)) {
            try (BlockRunner runner = new BlockRunner(model, block -> {}, false);
                    Progress progress = Progress.Reporter.none().start("", 1, "")) {
                runner.run(states, ActivationObserver.NONE, progress);
            }
            try (NDArray logits = Scoring.logits(model, states, 0)) {
                return logits.toFloatArray();
            }
        }
    }
}
