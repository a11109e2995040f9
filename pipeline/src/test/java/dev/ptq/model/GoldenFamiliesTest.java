package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Tiny random models of every family against what the transformers library makes of them in float64. */
class GoldenFamiliesTest {
    /** Of the largest magnitude of a tensor. */
    private static final double TOLERANCE = 2e-5;

    @TempDir
    private Path folder;

    /** Every variant with both spellings of its config, and with early names where there are some. */
    static Stream<Arguments> variants() throws IOException {
        List<Arguments> variants = new ArrayList<>();
        for (Path model : TinyFamilies.folders()) {
            for (String config : List.of("config.json", "config_v4.json")) {
                variants.add(Arguments.of(model, config, "model.safetensors"));
            }
            if (Files.exists(model.resolve("model_hub.safetensors"))) {
                variants.add(Arguments.of(model, "config_v4.json", "model_hub.safetensors"));
            }
        }
        return variants.stream();
    }

    @ParameterizedTest
    @MethodSource("variants")
    void everyHiddenStateAndLogitAgrees(Path model, String config, String weights) throws IOException {
        Files.copy(model.resolve(config), folder.resolve("config.json"));
        Files.copy(model.resolve(weights), folder.resolve("model.safetensors"));
        Path file = model.resolve("expected.safetensors");
        try (Safetensors expected = Safetensors.open(file);
                LanguageModel opened = LanguageModel.open(folder)) {
            compare(opened, expected, "");
            if (expected.entries().containsKey("short.input_ids")) {
                compare(opened, expected, "short.");
            }
        }
    }

    private static void compare(LanguageModel model, Safetensors expected, String prefix) throws IOException {
        int[] ids = expected.ints(prefix + "input_ids");
        int tokens = Math.toIntExact(expected.shape(prefix + "input_ids").get(1));
        int[][] chunks = new int[ids.length / tokens][];
        for (int i = 0; i < chunks.length; i++) {
            chunks[i] = Arrays.copyOfRange(ids, i * tokens, (i + 1) * tokens);
        }
        try (HiddenStates states = model.embed(chunks, chunks.length);
                NDManager scratch = TensorEngine.newManager()) {
            BlockChange change = block -> assertClose(states.batch(0), expected, prefix + "hidden." + block.index());
            try (BlockRunner runner = new BlockRunner(model, change, false);
                    Progress progress = Progress.Reporter.none().start("", 1, "")) {
                runner.run(states, ActivationObserver.NONE, progress);
            }
            NDArray finished = model.finish(scratch, states).get(0);
            double multiplier = model.config().output().multiplier();
            assertClose(
                    multiplier == 1 ? finished : finished.div((float) multiplier),
                    expected,
                    prefix + "hidden." + model.config().blocks());
            assertClose(Scoring.logits(model, states, 0), expected, prefix + "logits");
        }
    }

    private static void assertClose(NDArray actual, Safetensors expected, String name) throws IOException {
        float[] values = actual.toFloatArray();
        float[] right = expected.floats(name);
        assertThat(values).as(name).hasSameSizeAs(right);
        double largest = 0;
        double error = 0;
        for (int i = 0; i < right.length; i++) {
            largest = Math.max(largest, Math.abs(right[i]));
            error = Math.max(error, Math.abs((double) values[i] - right[i]));
        }
        assertThat(error / largest).as(name).isLessThan(TOLERANCE);
    }
}
