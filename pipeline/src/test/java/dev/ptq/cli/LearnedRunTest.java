package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

/** Whole runs of methods that change weights. */
class LearnedRunTest {
    private static final String FORMATS = """
            [quantization.weight]
            format = "int"
            bits = 3
            [quantization.activation]
            format = "int"
            bits = 6
            """;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private Path config(String steps) throws IOException {
        String toml = TinyExperiment.CONFIG;
        int from = toml.indexOf("[[approximation]]");
        return tiny.config(toml.substring(0, from) + steps + FORMATS + toml.substring(toml.indexOf("[evaluation]")));
    }

    private void run(Path config, String tag, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "run",
                config.toString(),
                tag,
                "--results",
                folder.resolve("results").toString()));
        arguments.addAll(List.of(more));
        TinyExperiment.Outcome outcome = tiny.execute(arguments.toArray(String[]::new));
        assertThat(outcome.code()).as(outcome.err()).isZero();
    }

    private Path result(String file) {
        return folder.resolve("results").resolve(file);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "opt"})
    void parametersOfARunGiveItsNumbersAgain(String family) throws IOException {
        if (family.equals("opt")) {
            SyntheticModel.opt()
                    .vocabulary(259)
                    .positions(64)
                    .tokenizer()
                    .write(Files.createDirectories(folder.resolve("other")));
        }
        String steps = """
                [[approximation]]
                method = "omniquant"
                epochs = 2
                [[approximation]]
                method = "l2qer"
                rank = 4
                """;
        Path config = config(steps);
        if (family.equals("opt")) {
            Files.writeString(config, Files.readString(config).replace("/llama\"", "/other\""));
        }
        run(config, "learned");
        assertThat(result("learned/approximate/layers.csv")).content().contains("blocks.0,omniquant,,,,,,,");
        assertThat(result("learned/approximate/weights/block-1.safetensors")).exists();
        run(
                config,
                "again",
                "--set",
                "approximation.omniquant.epochs=0",
                "--set",
                "approximation.omniquant.parameters=" + result("learned/approximate/parameters"));
        for (String file : List.of(
                "metrics.json",
                "approximate/low_rank.safetensors",
                "approximate/weights/block-0.safetensors",
                "approximate/weights/block-1.safetensors")) {
            assertThat(result("again/" + file)).hasSameBinaryContentAs(result("learned/" + file));
        }
        run(config, "fewer", "--set", "approximation.omniquant.epochs=0");
        assertThat(Files.mismatch(result("fewer/metrics.json"), result("learned/metrics.json")))
                .isNotEqualTo(-1);
    }

    /** Smoothing alone, in full precision, is no change; its weights are rounded to nearest afterwards. */
    @Test
    void smoothingWithoutFormatsChangesNothing() throws IOException {
        Path config = config("[[approximation]]\nmethod = \"smoothquant\"\n");
        run(config, "rounded");
        String toml = Files.readString(config).replace(FORMATS, "");
        run(Files.writeString(folder.resolve("exact.toml"), toml), "exact");
        run(
                Files.writeString(
                        folder.resolve("plain.toml"),
                        toml.replace("[[approximation]]\nmethod = \"smoothquant\"\n", "")),
                "plain");
        double smoothed = loss("exact");
        assertThat(smoothed).isNotEqualTo(loss("rounded"));
        assertThat(smoothed).isCloseTo(loss("plain"), within(1e-5));
    }

    private double loss(String tag) throws IOException {
        return JsonMapper.shared()
                .readTree(Files.readString(result(tag + "/metrics.json")))
                .get("perplexity/tales/loss")
                .asDouble();
    }

    @Test
    void aChangedSampleTextTrainsAgain() throws IOException {
        Path config = config("[[approximation]]\nmethod = \"lrq\"\niterations = 4\n");
        run(config, "before");
        Path text = folder.resolve("text.txt");
        Files.writeString(text, "seven herons under glass " + Files.readString(text));
        TinyExperiment.Outcome outcome = tiny.execute(
                "cache",
                "explain",
                config.toString(),
                "--results",
                folder.resolve("results").toString());
        assertThat(outcome.out() + outcome.err())
                .contains("approximate: not made; nearest entry", "samples.text.sha256");
        run(config, "after");
        assertThat(Files.mismatch(
                        result("before/approximate/weights/block-0.safetensors"),
                        result("after/approximate/weights/block-0.safetensors")))
                .isNotEqualTo(-1);
    }

    /** Rows of all steps, and each makes something of what the one before it left. */
    @Test
    void searchedScalesGoTogetherWithLaterSteps() throws IOException {
        String awq = "[[approximation]]\nmethod = \"awq\"\n";
        List<Double> losses = new ArrayList<>();
        for (String then : List.of("", "gptq", "l2qer")) {
            String rest = then.isEmpty()
                    ? ""
                    : "[[approximation]]\nmethod = \"" + then + "\"\n" + (then.equals("l2qer") ? "rank = 4\n" : "");
            Path config = config(awq + rest);
            run(config, "awq" + then);
            assertThat(result("awq" + then + "/approximate/layers.csv"))
                    .content()
                    .contains("blocks.0.attn_in,awq,")
                    .contains("blocks.1.mlp_mid,awq,")
                    .contains("down_proj,awq,");
            losses.add(loss("awq" + then));
        }
        assertThat(losses).doesNotHaveDuplicates();
    }
}
