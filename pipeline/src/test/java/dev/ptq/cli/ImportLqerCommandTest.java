package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ImportLqerCommandTest {
    private static final String LQER = """
            model_name = "example-org/tiny"
            enable_perplexity_evaluation = true
            [profile]
                dataset = "DIR/text.txt"
                max_length = 24
                batch_size = 2
                num_samples = 4
                device_map = ":ast:{'lm_head': 0}"
            [approximate]
                name = "lqer-act"
                [approximate.approximator]
                    'model\\.layers\\.[0-9]+\\..*_proj\\.weight' = "default"
                    [approximate.approximator.default]
                        rank = 4
                        W_quantizer = { name = "block_fp", width = 3, block_size = [1, 16], skip_first_dim = false }
                        A_quantizer = { name = "block_fp", width = 8, block_size = [16, 1], skip_first_dim = false }
                        B_quantizer = { name = "block_fp", width = 8, block_size = [16, 1], skip_first_dim = false }
            [l_config.linear]
                rank = 5
            [q_config.linear]
                name = "flexible_lqer"
                x_quantizer = { name = "block_fp", width = 8, block_size = [1, 16] }
                w_quantizer = { name = "block_fp", width = 3, block_size = [1, 16], skip_first_dim = false }
            [q_config.matmul]
                x_quantizer = { name = "passthrough" }
                w_quantizer = { name = "passthrough" }
            [evaluate]
                disable_lqer = false
                [evaluate.perplexity]
                    dataset = "DIR/text.txt"
                    max_length = 24
                    batch_size = 2
            """;

    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        lqer(LQER);
    }

    private void lqer(String toml) throws IOException {
        Files.writeString(folder.resolve("lqer.toml"), toml.replace("DIR", folder.toString()));
    }

    @Test
    void whatItPrintsRuns() throws IOException {
        Outcome imported = tiny.execute("import-lqer", "DIR/lqer.toml", "--model", "DIR/llama");
        assertThat(imported.code()).isZero();
        assertThat(imported.err())
                .isEqualTo("DIR/lqer.toml:19:5: l_config.linear.rank = 5: approximate.approximator has 4, which counts"
                        + " here\n");

        Outcome run = tiny.run(imported.out(), "imported", "--set", "evaluation.baselines=['full_precision']");

        assertThat(run.code()).as(run.err()).isZero();
        assertThat(tiny.metrics("imported")).containsKeys("perplexity/text", "full_precision/perplexity/text");
        assertThat(tiny.rows("imported/approximate/layers.csv")).hasSize(14);
    }

    @Test
    void writesToAFile() throws IOException {
        Outcome printed = tiny.execute("import-lqer", "DIR/lqer.toml", "--l_config:linear:rank=4");
        Outcome written =
                tiny.execute("import-lqer", "--out", "DIR/ours.toml", "DIR/lqer.toml", "--l_config:linear:rank=4");

        assertThat(printed.err()).isEmpty();
        assertThat(written).isEqualTo(new Outcome(0, "", ""));
        assertThat(Files.readString(folder.resolve("ours.toml")).replace(folder.toString(), "DIR"))
                .isEqualTo(printed.out())
                .contains("path = \"example-org/tiny\"\n");
    }

    @Test
    void refusesWhatIsWrong() throws IOException {
        assertThat(tiny.execute("import-lqer", "DIR/no.toml")).isEqualTo(refused("DIR/no.toml: no such file"));
        assertThat(tiny.execute("import-lqer", "DIR/lqer.toml", "--modle", "m"))
                .isEqualTo(refused("--modle: expected an option of import-lqer, or --section:key=value\n"
                        + "m: expected an option of import-lqer, or --section:key=value"));
        assertThat(tiny.execute("import-lqer", "DIR/lqer.toml", "--out", "DIR/no/ours.toml")
                        .code())
                .isEqualTo(2);
        assertThat(tiny.execute("import-lqer", "DIR/lqer.toml", "--out", "DIR/lqer.toml")
                        .err())
                .endsWith("DIR/lqer.toml: expected another file than the one that is read\n");
        assertThat(tiny.execute("import-lqer", "DIR/lqer.toml", "--out", "DIR"))
                .isEqualTo(refused(
                        "DIR/lqer.toml:19:5: l_config.linear.rank = 5: approximate.approximator has 4, which counts"
                                + " here\nDIR: expected a file to write, found a folder"));
        assertThat(tiny.execute("import-lqer", "DIR/lqer.toml", "--profile:max_length=99999999999"))
                .isEqualTo(
                        refused("--profile:max_length=99999999999: profile.max_length: expected a whole number from 2"
                                + " to 2147483647, got 99999999999"));
        lqer("[evaluate]\n    low_rank_dict = \":ast:{'a'\"\n");
        assertThat(tiny.execute("import-lqer", "DIR/lqer.toml"))
                .isEqualTo(refused("DIR/lqer.toml:2:5: evaluate.low_rank_dict: expected a colon at character 5 of the"
                        + " Python literal, got its end"));
        assertThat(tiny.execute("import-lqer").code()).isEqualTo(2);
    }

    /** What other people would have written: an expression, and what stands instead of all that it matches. */
    private static Stream<Arguments> styles() {
        String section = "(?ms)^\\[NAME\\b.*?(?=^\\[|\\z)";
        return Stream.of(
                arguments(" = ", "="),
                arguments("(?m)^ +", ""),
                arguments("\n", "\r\n"),
                arguments("\\A", "\ufeff"),
                arguments("= \"([^\"'\n]*)\"", "= '$1'"),
                arguments("rank = 4", "rank = \":ast:4\""),
                arguments("(\\[[0-9]+, [0-9]+\\])", "\":ast: ($1) \""),
                arguments("num_samples = 4", "num_samples = \"NA\"\nseed = 1\nextra.x = \":ast:(None, 0x10, 'a',)\""),
                arguments("width = 3,", "width = 3, exponent_width = 8, exponent_bias = \":ast:None\","),
                arguments("disable_lqer = false", "disable_lqer = \":ast:True\""),
                arguments("(?m)^ *w_quantizer = (.*block_fp.*)$", "default = $1"),
                arguments("lqer-act", "lqer_svd"),
                arguments(section.replace("NAME", "profile"), ""),
                arguments(section.replace("NAME", "approximate"), ""),
                arguments(section.replace("NAME", "l_config"), ""),
                arguments(section.replace("NAME", "q_config"), ""),
                arguments(section.replace("NAME", "evaluate"), ""));
    }

    @ParameterizedTest
    @MethodSource("styles")
    void whateverItsStyleTheConfigIsValid(String regex, String replacement) throws IOException {
        String file = LQER.replaceAll(regex, replacement);
        assertThat(file).isNotEqualTo(LQER);
        lqer(file);

        Outcome imported = tiny.execute("import-lqer", "DIR/lqer.toml", "--model", "DIR/llama");
        assertThat(imported.code()).as(imported.err()).isZero();
        tiny.config(imported.out());
        Outcome valid = tiny.execute(
                imported.out().contains("[calibration]")
                        ? new String[] {
                            "validate",
                            "DIR/config.toml",
                            "--set",
                            "calibration.dataset=DIR/text.txt",
                            "--set",
                            "calibration.seq_len=24",
                            "--set",
                            "calibration.num_samples=4"
                        }
                        : new String[] {"validate", "DIR/config.toml"});
        assertThat(valid.err()).isEmpty();
        assertThat(valid.code()).isZero();
    }

    /** The names of OPT's weights, its product {@code bmm} and the biases of all its linears. */
    @Test
    void aFileForOptRuns() throws IOException {
        SyntheticModel.opt()
                .vocabulary(259)
                .positions(64)
                .heads(4, 4)
                .tokenizer()
                .write(folder.resolve("opt"));
        lqer(LQER.replace("example-org/tiny", "example-org/opt-125m")
                .replace(
                        "model\\.layers\\.[0-9]+\\..*_proj",
                        "model\\.decoder\\.layers\\.[0-9]+\\.(self_attn\\..*_proj|fc[12])")
                .replace("matmul", "bmm")
                .replace("rank = 5", "rank = 4"));
        Outcome imported = tiny.execute("import-lqer", "DIR/lqer.toml", "--model", "DIR/opt");
        assertThat(imported.err()).isEmpty();

        Outcome run = tiny.run(imported.out(), "opt");

        assertThat(run.code()).as(run.err()).isZero();
        assertThat(tiny.rows("opt/approximate/layers.csv")).hasSize(12).containsKey("model.decoder.layers.1.fc2");
    }

    private static Outcome refused(String problems) {
        return new Outcome(2, "", problems + "\n");
    }
}
