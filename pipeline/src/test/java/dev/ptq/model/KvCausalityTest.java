package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Models of every family whose cache is rounded. */
class KvCausalityTest {
    /** Of each axis, with and without a window, before and after rotation, and with other operands rounded. */
    private static final List<String> SETTINGS = List.of(
            "kv = { key = { format = 'int', bits = 3 }, value = { format = 'int', bits = 3 } }",
            "kv = { key = { format = 'mxfp4' }, value = { format = 'nf4' }, rotary = 'before', window = 3 }",
            "kv = { key = { format = 'int', bits = 3, per = 'channel', group_size = 4 } }",
            "kv = { key = { format = 'fp8_e5m2', per = 'channel', group_size = 5 },"
                    + " value = { format = 'int', bits = 2, granularity = 'group', group_size = 3 },"
                    + " rotary = 'before', window = 2 }",
            "attention = { probability = { format = 'mxint', bits = 8 } }\n"
                    + "kv = { value = { format = 'mxint', bits = 3, per = 'channel', group_size = 3 }, window = 1 }",
            "kv = { key = { format = 'int', bits = 3, per = 'channel', dynamic = false },"
                    + " value = { format = 'int', bits = 3, granularity = 'group', group_size = 3 }, rotary = 'before' }",
            "kv = { key = { format = 'fp8_e5m2', per = 'channel', dynamic = false, range = 'moving_average' },"
                    + " value = { format = 'int', bits = 3, dynamic = false, range = 'mse' }, window = 2 }",
            "kv = { key = { format = 'int', bits = 3, grid = 'gptq', dynamic = false, range = 'percentile' },"
                    + " value = { format = 'nvfp4', dynamic = false } }");

    private static final int[] SAMPLE = {40, 3, 3, 18, 77, 5, 62, 9};

    static Stream<Path> few() throws IOException {
        return TinyFamilies.few().stream();
    }

    static Stream<Path> families() throws IOException {
        return TinyFamilies.folders().stream();
    }

    /**
     * The logits, token by token. Of a model with experts, what enters the first mixture: in an expert, later tokens change
     * the number of rows in a product, which decides its last bits, whatever the format.
     */
    private static float[] logits(LanguageModel model, BlockRunner.BlockChange change, int[] tokens)
            throws IOException {
        List<float[]> mixtureInputs = new ArrayList<>();
        ActivationObserver observer = (block, hookPoint, input) -> {
            if (block == 0 && hookPoint.equals(HookPoint.MIXTURE_IN)) {
                mixtureInputs.add(input.values().toFloatArray());
            }
        };
        try (BlockRunner runner = new BlockRunner(model, change, true);
                HiddenStates states = model.embed(new int[][] {tokens}, 1);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, observer, progress);
            if (model.config().hasExperts()) {
                return mixtureInputs.get(0);
            }
            try (NDArray logits = Scoring.logits(model, states, 0)) {
                return logits.toFloatArray();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void aLaterTokenChangesNoEarlierLogitOfAFew(Path family) throws IOException {
        assertCausal(family);
    }

    @ParameterizedTest
    @MethodSource("families")
    @Tag("slow")
    void aLaterTokenChangesNoEarlierLogit(Path family) throws IOException {
        assertCausal(family);
    }

    private static void assertCausal(Path family) throws IOException {
        int[] tokens = {5, 3, 81, 12, 40, 7, 7, 90, 33, 1, 2, 60, 61};
        try (LanguageModel model = LanguageModel.open(family)) {
            int vocabulary = model.config().vocabulary().size();
            int width = model.config().hasExperts() ? model.config().hiddenSize() : vocabulary;
            float[] exact = logits(model, BlockRunner.BlockChange.none(), tokens);
            for (String setting : SETTINGS) {
                ModelFormats formats = CachedModel.calibrated(model, CachedModel.read(setting), new int[][] {SAMPLE});
                float[] all = logits(model, formats::applyTo, tokens);
                assertThat(all).as(setting).isNotEqualTo(exact);
                for (int changed : new int[] {12, 11, 8, 4, 1}) {
                    int[] others = tokens.clone();
                    for (int i = changed; i < others.length; i++) {
                        others[i] = (tokens[i] + 17) % vocabulary;
                    }
                    float[] found = logits(model, formats::applyTo, others);
                    int before = changed * width;
                    assertThat(Arrays.copyOf(found, before))
                            .as("%s, token %s", setting, changed)
                            .isEqualTo(Arrays.copyOf(all, before));
                    assertThat(found).isNotEqualTo(all);
                }
            }
        }
    }
}
