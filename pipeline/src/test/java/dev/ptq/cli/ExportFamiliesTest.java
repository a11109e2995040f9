package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.TinyFamilies;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Runs of every family, exported in every layout and measured again: to the last digit the same. */
class ExportFamiliesTest {
    private static final String EVALUATION = """
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 4
            """;

    private static final String INTEGERS = """
            [quantization.weight]
            format = "int"
            bits = 4
            symmetric = false
            granularity = "group"
            group_size = 8
            """;

    private static final String FP8 = """
            [quantization]
            weight = { format = "fp8_e4m3" }
            activation = { format = "fp8_e4m3" }
            """;

    @TempDir
    private Path folder;

    static Stream<Path> few() throws IOException {
        return TinyFamilies.few().stream();
    }

    static Stream<Path> all() throws IOException {
        return TinyFamilies.folders().stream();
    }

    @ParameterizedTest
    @MethodSource("few")
    void aFewAreReadBack(Path family) throws IOException {
        requireSame(FamilyRunsTest.prepared(folder, family), INTEGERS, "compressed-tensors");
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allAreReadBack(Path family) throws IOException {
        TinyExperiment tiny = FamilyRunsTest.prepared(folder, family);
        requireSame(tiny, INTEGERS, "float", "compressed-tensors", "gptq", "gptq-v2", "awq");
        requireSame(tiny, FP8, "compressed-tensors");
    }

    private static void requireSame(TinyExperiment tiny, String format, String... layouts) throws IOException {
        String made = "made-" + Integer.toHexString(format.hashCode());
        double loss = loss(tiny, "model", format, made);
        for (String layout : layouts) {
            String target = made + layout;
            Outcome outcome = tiny.execute(
                    "export", made, "DIR/" + target, "--results", "DIR/results", "--format", layout, "--strict");
            assertThat(outcome.err()).as(layout).isEmpty();
            assertThat(loss(tiny, target, "", target)).as(layout).isEqualTo(loss);
        }
    }

    private static double loss(TinyExperiment tiny, String model, String format, String tag) throws IOException {
        Outcome outcome = tiny.run("[model]\npath = \"DIR/" + model + "\"\n" + format + EVALUATION, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        double loss = Objects.requireNonNull(tiny.metrics(tag).get("perplexity/tales/loss"));
        assertThat(loss).isBetween(4.0, 9.0);
        return loss;
    }
}
