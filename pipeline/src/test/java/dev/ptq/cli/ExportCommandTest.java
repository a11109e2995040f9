package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.layout.StoredCheckpoint;
import dev.ptq.model.SyntheticModel;
import dev.ptq.model.TinyFamilies;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A run, its model exported, and a run on that: both must measure the same. */
class ExportCommandTest {
    private static final String EVALUATION = """
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 4
            """;

    private static final String MODEL = "[model]\npath = \"DIR/llama\"\n";
    private static final String INT4 = """
            [quantization.weight]
            format = "int"
            bits = 4
            granularity = "group"
            group_size = 8
            """;
    private static final String LOSS = "perplexity/tales/loss";
    private static final String EXPORTED = "[model]\npath = \"DIR/out\"\n" + EVALUATION;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    static Stream<Path> families() throws IOException {
        return TinyFamilies.few().stream();
    }

    private static String step(String text) {
        return TinyExperiment.CALIBRATED + "[[approximation]]\n" + text;
    }

    private double run(String toml, String tag) throws IOException {
        Outcome outcome = tiny.run(toml, tag);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        return Objects.requireNonNull(tiny.metrics(tag).get(LOSS));
    }

    private Outcome export(String... options) {
        return tiny.execute(Stream.concat(
                        Stream.of("export", "DIR/results/made", "DIR/out", "--results", "DIR/results"),
                        Stream.of(options))
                .toArray(String[]::new));
    }

    private void exportSilently(String... options) {
        Outcome outcome = export(options);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
    }

    @Test
    void roundedWeightsAreReadBackBitForBit() throws IOException {
        double made = run(MODEL + INT4 + EVALUATION, "made");
        exportSilently();
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
    }

    @Test
    void soAreThoseThatMethodsLeft() throws IOException {
        double made = run(
                MODEL + step("method = \"smoothquant\"\n[[approximation]]\nmethod = \"gptq\"\n") + INT4 + EVALUATION,
                "made");
        exportSilently();
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
    }

    @ParameterizedTest
    @MethodSource("families")
    void everyFamilyIsReadBack(Path family) throws IOException {
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.createDirectories(folder.resolve("family"));
            Files.copy(family.resolve(name), folder.resolve("family").resolve(name));
        }
        Files.copy(folder.resolve("llama/tokenizer.json"), folder.resolve("family/tokenizer.json"));
        double made = run(MODEL.replace("llama", "family") + step("method = \"awq\"\n") + INT4 + EVALUATION, "made");
        Outcome outcome = export();
        assertThat(outcome.code()).isZero();
        if (outcome.err().isEmpty()) {
            assertThat(run(EXPORTED, "read")).isEqualTo(made);
        } else {
            // gains near 0 are stored as numbers near -1, which have fewer places
            assertThat(family).hasFileName("gemma");
            assertThat(outcome.err()).matches("note: \\d values of norms that the family stores less one .*\n");
            assertThat(run(EXPORTED, "read")).isCloseTo(made, within(1e-6));
        }
    }

    @Test
    void correctionsAreFoldedWhereNoProductIsRounded() throws IOException {
        double made = run(MODEL + step("method = \"l2qer\"\nrank = 4\n") + INT4 + EVALUATION, "made");
        Outcome outcome = export();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.err()).startsWith("note: 14 low-rank corrections are part of the weights beside them");
        assertThat(run(EXPORTED, "read")).isCloseTo(made, within(1e-5));
    }

    @Test
    void correctionsWithRoundedProductsAreRefused() throws IOException {
        run(TinyExperiment.CONFIG, "made");
        Outcome outcome = export();
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("model.layers.0.self_attn.q_proj: the products of its low-rank correction are rounded");
        assertThat(folder.resolve("out")).doesNotExist();
        assertThat(folder.resolve(".out.export.partial")).doesNotExist();
    }

    @Test
    void whatOnlyRoundsActivationsIsNotedOrAnError() throws IOException {
        run(
                MODEL
                        + INT4
                        + "[quantization.activation]\nformat = \"int\"\nbits = 8\ngranularity = \"token\"\n"
                        + "[quantization.kv]\nkey = { format = \"int\", bits = 4 }\n"
                        + EVALUATION,
                "made");
        Outcome strict = export("--strict");
        assertThat(strict.code()).isEqualTo(2);
        assertThat(strict.err())
                .contains("the run also rounds inputs of linears ({ format = 'int'")
                .contains("the cache of keys and values")
                .contains("(--strict)");
        assertThat(folder.resolve("out")).doesNotExist();
        Outcome outcome = export();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.err()).contains("note: the run also rounds inputs of linears");
        assertThat(Files.readString(folder.resolve("out/README.md")))
                .contains("the run also rounds inputs of linears")
                .contains("| " + LOSS + " | ")
                .contains("bits = 4");
    }

    static Stream<Arguments> layouts() {
        String group = "granularity = \"group\"\ngroup_size = 8\n";
        String gptq = "method = \"gptq\"\norder = \"activation\"\n";
        return Stream.of(
                Arguments.of("compressed-tensors", "bits = 4\nsymmetric = true\n" + group, ""),
                Arguments.of("compressed-tensors", "bits = 4\nsymmetric = false\n" + group, "method = \"gptq\"\n"),
                Arguments.of("compressed-tensors", "bits = 8\nsymmetric = false\ngranularity = \"channel\"\n", ""),
                Arguments.of("compressed-tensors", "bits = 3\nsymmetric = false\n" + group, ""),
                Arguments.of("compressed-tensors", "bits = 8\nsymmetric = true\ngranularity = \"tensor\"\n", ""),
                Arguments.of(
                        "compressed-tensors",
                        "bits = 4\nsymmetric = false\ngrid = \"compressed_tensors\"\n" + group,
                        "method = \"awq\"\n"),
                Arguments.of("gptq", "bits = 4\nsymmetric = true\ngrid = \"gptq\"\n" + group, gptq),
                Arguments.of("gptq", "bits = 4\nsymmetric = false\n" + group, gptq),
                Arguments.of("gptq", "bits = 3\nsymmetric = false\n" + group, "method = \"smoothquant\"\n"),
                Arguments.of("gptq", "bits = 4\nsymmetric = true\ngrid = \"full_range\"\n" + group, ""),
                Arguments.of("gptq-v2", "bits = 2\nsymmetric = false\n" + group, ""),
                Arguments.of("gptq-v2", "bits = 8\nsymmetric = false\ngranularity = \"channel\"\n", ""),
                Arguments.of("awq", "bits = 4\nsymmetric = false\n" + group, "method = \"awq\"\n"),
                Arguments.of("awq", "bits = 4\nsymmetric = true\n" + group, ""));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ format = \"fp8_e4m3\", granularity = \"block\", block_size = [16, 16] }",
                "{ format = \"mxfp4\" }",
                "{ format = \"nvfp4\", rule = \"compressed_tensors\" }"
            })
    void soAreSmallFloats(String format) throws IOException {
        requireSameSmallFloats(format);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(
            strings = {
                "{ format = \"fp8_e4m3\" }",
                "{ format = \"fp8_e4m3\", granularity = \"tensor\" }",
                "{ format = \"mxfp8_e4m3\" }"
            })
    void soAreOtherSmallFloats(String format) throws IOException {
        requireSameSmallFloats(format);
    }

    private void requireSameSmallFloats(String format) throws IOException {
        // blocks do not fill its rows of 112
        String rows =
                "[[quantization.override]]\npattern = \".*down_proj.weight\"\nweight = { format = \"int\", bits = 8 }\n";
        double made = run(
                MODEL + step("method = \"gptq\"\n") + "[quantization]\nweight = " + format + "\n" + rows + EVALUATION,
                "made");
        exportSilently("--format", "compressed-tensors");
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
        assertThat(tiny.metrics("read").get("bits_per_weight")).isLessThan(16);
    }

    /** Two formats, and a linear that stays as it is. */
    @ParameterizedTest
    @ValueSource(strings = {"compressed-tensors", "gptq", "awq"})
    void linearsMayDiffer(String layout) throws IOException {
        String left = """
                [[quantization.override]]
                pattern = ".*1.mlp.down_proj.weight"
                weight = { format = "none" }
                """;
        double made = run(MODEL + INT4 + left + EVALUATION, "made");
        exportSilently("--format", layout);
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
        String other = left.replace("none\"", "int\", bits = 8").replace("1.mlp", "0.mlp");
        double mixed = run(MODEL + INT4 + left + other + EVALUATION, "mixed");
        Outcome outcome = tiny.execute("export", "mixed", "DIR/mixed", "--results", "DIR/results", "--format", layout);
        if (layout.equals("compressed-tensors")) {
            assertThat(outcome.code()).isZero();
            assertThat(run(EXPORTED.replace("out", "mixed"), "read-mixed")).isEqualTo(mixed);
        } else {
            assertThat(outcome.code()).isEqualTo(1);
            assertThat(outcome.err()).contains("model.layers.0.mlp.down_proj: " + layout + " has ");
            assertThat(folder.resolve("mixed")).doesNotExist();
        }
    }

    @Test
    void whatALayoutLacksIsNamedWithTheSettingThatFits() throws IOException {
        run(MODEL + "[quantization.weight]\nformat = \"mxint\"\nbits = 4\n" + EVALUATION, "made");
        Outcome outcome = export("--format", "gptq");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("model.layers.0.self_attn.q_proj: gptq has no place for { format = 'mxint'")
                .contains("--format float has one for every format");
        exportSilently();
        assertThat(export().err()).contains("expected a folder that is not there yet");
    }

    @Test
    void bfloat16IsHalfTheSize() throws IOException {
        double made = run(MODEL + INT4 + EVALUATION, "made");
        exportSilently("--dtype", "bfloat16");
        assertThat(Files.readString(folder.resolve("out/config.json"))).contains("\"bfloat16\"");
        assertThat(Files.readString(folder.resolve("out/README.md")))
                .contains("stored in bfloat16, to which they were rounded");
        assertThat(Files.size(folder.resolve("out/model.safetensors")))
                .isLessThan(Files.size(folder.resolve("llama/model.safetensors")) * 6 / 10);
        assertThat(run(EXPORTED, "read")).isCloseTo(made, within(1e-2)).isNotEqualTo(made);
    }

    /** Another model under the name that the run has for its own. */
    @Test
    void aRunOfAnotherModelIsRefused() throws IOException {
        run(MODEL + INT4 + EVALUATION, "made");
        SyntheticModel.llama().vocabulary(259).positions(64).heads(2, 1).write(folder.resolve("llama"));
        Outcome outcome = export();
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err()).contains("stage quantize was made from another model");
    }

    @Test
    void rotationsThatRunWithTheModelAreRefused() throws IOException {
        double made = run(
                MODEL + "[[approximation]]\nmethod = \"quarot\"\nrotations = [\"R1\", \"R2\"]\n" + INT4 + EVALUATION,
                "made");
        exportSilently();
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
        run(
                MODEL + "[[approximation]]\nmethod = \"quarot\"\nrotations = [\"R1\", \"R4\"]\n" + INT4 + EVALUATION,
                "online");
        Outcome outcome = tiny.execute("export", "online", "DIR/online", "--results", "DIR/results");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err()).contains("a forward pass that its config.json cannot describe");
    }

    /** Of each layout a row, with different bits, methods and granularities. */
    @ParameterizedTest
    @MethodSource("fewLayouts")
    void packedWeightsAreReadBackBitForBit(String layout, String format, String method) throws IOException {
        requireSamePackedWeights(layout, format, method);
    }

    static Stream<Arguments> fewLayouts() {
        List<Arguments> all = layouts().toList();
        return IntStream.of(1, 2, 6, 10, 12).mapToObj(all::get);
    }

    @ParameterizedTest
    @MethodSource("layouts")
    @Tag("slow")
    void allPackedWeightsAreReadBackBitForBit(String layout, String format, String method) throws IOException {
        requireSamePackedWeights(layout, format, method);
    }

    private void requireSamePackedWeights(String layout, String format, String method) throws IOException {
        String weight = "[quantization.weight]\nformat = \"int\"\n" + format;
        double made = run(MODEL + (method.isEmpty() ? "" : step(method)) + weight + EVALUATION, "made");
        exportSilently("--format", layout);
        double read = run(EXPORTED, "read");
        assertThat(read).isEqualTo(made);
        assertThat(tiny.metrics("read").get("bits_per_weight")).isLessThan(16);
    }

    @Test
    void layoutsHaveTheNamesOfTheirTools() {
        assertThat(export("--format", "gptqv2").err())
                .startsWith("Invalid value for option '--format': expected one of [float, compressed-tensors, gptq,"
                        + " gptq-v2, awq], got \"gptqv2\"; did you mean \"gptq-v2\"?");
    }

    /** Formats that the description of a checkpoint has words for, static ones with their scales. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ format = \"int\", bits = 8, granularity = \"token\", grid = \"compressed_tensors\" }",
                "{ format = \"nvfp4\", rule = \"compressed_tensors\", dynamic = false }",
            })
    void inputsAreRoundedAgain(String format) throws IOException {
        requireSameInputs(format);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(
            strings = {
                "{ format = \"int\", bits = 8, granularity = \"token\", grid = \"compressed_tensors\", symmetric = false }",
                "{ format = \"int\", bits = 8, granularity = \"group\", group_size = 16, grid = \"compressed_tensors\" }",
                "{ format = \"int\", bits = 8, granularity = \"tensor\", grid = \"compressed_tensors\", dynamic = false }",
                "{ format = \"int\", bits = 8, granularity = \"tensor\", grid = \"compressed_tensors\", symmetric = false,"
                        + " dynamic = false, range = \"percentile\" }",
                "{ format = \"fp8_e4m3\" }",
                "{ format = \"fp8_e4m3\", granularity = \"block\", block_size = [1, 16] }",
                "{ format = \"fp8_e4m3\", granularity = \"tensor\", dynamic = false }",
            })
    void soAreOtherInputs(String format) throws IOException {
        requireSameInputs(format);
    }

    private void requireSameInputs(String format) throws IOException {
        double made = run(
                TinyExperiment.CALIBRATED + MODEL + INT4 + "[quantization]\nactivation = " + format + "\n" + EVALUATION,
                "made");
        exportSilently("--format", "compressed-tensors", "--strict");
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ format = \"fp8_e4m3\", dynamic = false }",
                "{ format = \"int\", bits = 8, grid = \"compressed_tensors\", symmetric = true, dynamic = false }",
            })
    void soAreKeysAndValues(String format) throws IOException {
        String cache = "[quantization.kv]\nkey = " + format + "\nvalue = " + format + "\n";
        double made = run(TinyExperiment.CALIBRATED + MODEL + INT4 + cache + EVALUATION, "made");
        exportSilently("--format", "compressed-tensors", "--strict");
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
    }

    @Test
    void aCacheThatNoDescriptionHasWordsForIsNamed() throws IOException {
        run(
                TinyExperiment.CALIBRATED
                        + MODEL
                        + INT4
                        + "[quantization.kv]\nkey = { format = \"fp8_e4m3\", dynamic = false }\nrotary = \"before\"\n"
                        + EVALUATION,
                "made");
        assertThat(export("--format", "compressed-tensors").err())
                .contains("the run also rounds the cache of keys and values");
    }

    @Test
    void inputsOfLinearsThatAreNotPackedAreNamed() throws IOException {
        run(
                MODEL
                        + INT4
                        + "[quantization.activation]\nformat = \"fp8_e4m3\"\n[[quantization.override]]\n"
                        + "pattern = \".*1.mlp.down_proj.weight\"\nweight = { format = \"none\" }\n"
                        + EVALUATION,
                "made");
        assertThat(export("--format", "compressed-tensors").err())
                .contains("note: the run also rounds inputs of linears ({ format = 'fp8_e4m3'");
    }

    @ParameterizedTest
    @ValueSource(strings = {"compressed-tensors", "awq"})
    void scalesAreRoundedIfThatIsAskedFor(String layout) throws IOException {
        double made = run(MODEL + INT4 + EVALUATION, "made");
        Outcome outcome = export("--format", layout, "--round-scales");
        assertThat(outcome.code()).isZero();
        assertThat(outcome.err()).matches("note: \\d+ scales were rounded to float16 \\(--round-scales\\), .*\n");
        assertThat(run(EXPORTED, "read")).isCloseTo(made, within(1e-3)).isNotEqualTo(made);
    }

    @Test
    void scalesOfFloat16AreStoredAsThat() throws IOException {
        double made = run(
                MODEL
                        + step("method = \"autoround\"\niterations = 2\nbatch_size = 2\n")
                        + INT4
                        + "grid = \"full_range\"\n"
                        + EVALUATION,
                "made");
        exportSilently("--format", "gptq");
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
        try (Safetensors file = Safetensors.open(folder.resolve("out/model.safetensors"))) {
            assertThat(file.rawType("model.layers.0.mlp.up_proj.scales")).isEqualTo(StoredType.F16);
        }
    }

    /** Methods that choose among roundings do so with the scales that will be stored. */
    @ParameterizedTest
    @CsvSource({"compressed-tensors, gptq, narrow", "awq, awq, compressed_tensors"})
    void aRunWithScalesOfFloat16IsExportedAsItIs(String layout, String method, String grid) throws IOException {
        requireScalesOfFloat16(layout, method, grid);
    }

    @ParameterizedTest
    @Tag("slow")
    @CsvSource({"gptq, gptq, gptq", "gptq-v2, gptq, narrow"})
    void soIsOneInOtherLayouts(String layout, String method, String grid) throws IOException {
        requireScalesOfFloat16(layout, method, grid);
    }

    private void requireScalesOfFloat16(String layout, String method, String grid) throws IOException {
        double made = run(
                MODEL
                        + step("method = \"" + method + "\"\n")
                        + INT4
                        + "symmetric = false\nscale_dtype = \"float16\"\ngrid = \"" + grid + "\"\n"
                        + EVALUATION,
                "made");
        exportSilently("--format", layout);
        assertThat(run(EXPORTED, "read")).isEqualTo(made);
        String scales = layout.startsWith("compressed") ? ".weight_scale" : ".scales";
        try (Safetensors file = Safetensors.open(folder.resolve("out/model.safetensors"))) {
            assertThat(file.rawType("model.layers.0.mlp.up_proj" + scales)).isEqualTo(StoredType.F16);
        }
    }

    /** The weights beside the folded ones differ by the product of the factors. */
    @ParameterizedTest
    @ValueSource(strings = {"float", "awq"})
    void correctionsMayBeAnAdapter(String layout) throws IOException {
        run(MODEL + step("method = \"l2qer\"\nrank = 4\n") + INT4 + EVALUATION, "made");
        Outcome outcome = export("--adapter", "peft", "--format", layout);
        assertThat(outcome.code()).isZero();
        assertThat(outcome.err()).startsWith("note: 14 low-rank corrections are in the folder adapter");
        tiny.execute("export", "made", "DIR/folded", "--results", "DIR/results");
        String config = Files.readString(folder.resolve("out/adapter/adapter_config.json"));
        assertThat(config).contains("\"lora_alpha\" : 4", "\"r\" : 4", "\"model.layers.1.mlp.down_proj\"");
        String module = "model.layers.1.mlp.down_proj";
        String factor = "base_model.model." + module + ".lora_";
        try (NDManager manager = TensorEngine.newManager();
                WeightSource base = StoredCheckpoint.open(folder.resolve("out")).weights();
                WeightSource folded =
                        StoredCheckpoint.open(folder.resolve("folded")).weights();
                Safetensors factors = Safetensors.open(folder.resolve("out/adapter/adapter_model.safetensors"))) {
            NDArray product =
                    factors.load(manager, factor + "B.weight").matMul(factors.load(manager, factor + "A.weight"));
            NDArray difference =
                    base.load(manager, module + ".weight").add(product).sub(folded.load(manager, module + ".weight"));
            assertThat(product.abs().max().getFloat()).isGreaterThan(1e-3f);
            assertThat(difference.abs().max().getFloat()).isLessThan(1e-6f);
        }
    }

    @Test
    void anAdapterNeedsCorrections() throws IOException {
        run(MODEL + INT4 + EVALUATION, "made");
        assertThat(export("--adapter", "peft").err()).contains("the run has no low-rank corrections");
        assertThat(folder.resolve("out")).doesNotExist();
        assertThat(export("--round-scales").err()).contains("--round-scales: the layout float has no scales");
    }

    /** Beside codes, scales and zero points there is hardly anything, and nothing else is larger than bfloat16. */
    @ParameterizedTest
    @CsvSource({"compressed-tensors, true", "gptq, false"})
    void packedLinearsAreAsSmallAsTheyCanBe(String layout, boolean isSymmetric) throws IOException {
        SyntheticModel.llama()
                .sizes(576, 1536)
                .layers(1)
                .heads(9, 3)
                .vocabulary(259)
                .positions(64)
                .tokenizer()
                .write(folder.resolve("llama"));
        String groups = "[quantization.weight]\nformat = \"int\"\nbits = 4\ngranularity = \"group\"\ngroup_size = 64\n"
                + "symmetric = " + isSymmetric + "\n";
        run(MODEL + groups + EVALUATION, "made");
        export("--format", layout, "--dtype", "bfloat16", "--round-scales");
        long packed = 0;
        try (Safetensors file = Safetensors.open(folder.resolve("out/model.safetensors"))) {
            for (Safetensors.Entry tensor : file.entries().values()) {
                if (tensor.name().contains("_proj.")) {
                    packed += tensor.bytes();
                } else {
                    assertThat(file.rawType(tensor.name())).as(tensor.name()).isEqualTo(StoredType.BF16);
                }
            }
        }
        long weights = 576L * (2 * 576 + 2 * 192 + 3 * 1536);
        boolean hasZeros = !isSymmetric;
        double least = weights / 2.0 + weights / 64.0 * (hasZeros ? 2.5 : 2);
        assertThat(packed).isBetween((long) least, (long) (1.02 * least));
    }
}
