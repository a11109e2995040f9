package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.evaluate.task.Tasks;
import dev.ptq.format.Formats;
import dev.ptq.method.Methods;
import dev.ptq.tensor.Shared;
import dev.ptq.weights.ModelFolder;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The commands beside {@code run}. */
class CommandsTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    @Test
    void validatePrintsTheConfigAndThePlanAndRunsNothing() throws IOException {
        tiny.config(TinyExperiment.CONFIG);
        Outcome outcome = tiny.execute("validate", "DIR/config.toml", "--results", "DIR/results", "--set", "seed=8");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out())
                .startsWith("seed = 8\n")
                .contains("protocol = \"gptq\"\n", "solver = \"exact\"\n", "# memory: about ");
        assertThat(outcome.out().lines().filter(line -> line.startsWith("# ")).limit(7))
                .allMatch(line -> line.matches("# \\S+ +[0-9a-f]{16}  to run"))
                .map(line -> line.split(" +", -1)[1])
                .containsExactly(
                        "calibrate",
                        "approximate",
                        "quantize",
                        "cost",
                        "evaluate/full_precision/tales",
                        "evaluate/round_to_nearest/tales",
                        "evaluate/quantized/tales");
        assertThat(folder.resolve("results")).doesNotExist();
        Files.writeString(folder.resolve("printed.toml"), outcome.out().replace("DIR", folder.toString()));
        assertThat(tiny.execute("validate", "DIR/printed.toml", "--results", "DIR/results")
                        .out())
                .isEqualTo(outcome.out());
    }

    @Test
    void validateSaysWhatWasMadeBefore() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        Outcome outcome = tiny.execute(
                "validate", "DIR/config.toml", "--results", "DIR/results", "--set", "approximation.0.rank=2");

        assertThat(outcome.out().lines().filter(line -> line.matches("# \\S+ +[0-9a-f]{16}  made .*Z")))
                .map(line -> line.split(" +", -1)[1])
                .containsExactly("calibrate", "evaluate/full_precision/tales", "evaluate/round_to_nearest/tales");
    }

    @Test
    void validateFindsWhatRunWould() throws IOException {
        tiny.config(TinyExperiment.CONFIG.replace("bits = 3", "bits = 33"));
        assertThat(tiny.execute("validate", "DIR/config.toml"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/config.toml:14:1: quantization.weight.bits: expected a whole number from 2 to 23,"
                                + " got 33\n"));
    }

    @Test
    void listsWhatThereIs() {
        Outcome methods = tiny.execute("list", "methods");
        Outcome formats = tiny.execute("list", "formats");

        assertThat(methods.code()).isZero();
        assertThat(methods.out().lines().map(line -> line.split(" +", -1)[0]))
                .containsExactlyElementsOf(Methods.descriptions().keySet());
        assertThat(formats.out().lines().map(line -> line.split(" +", -1)[0]))
                .containsExactlyElementsOf(Formats.descriptions().keySet());
        assertThat(tiny.execute("list", "models").out()).contains("llama", "opt");
        assertThat(tiny.execute("list", "datasets").out())
                .contains("europarl ", "wordnet ", "dickens ", ".txt", ".jsonl");
        assertThat(tiny.execute("list", "models").out().lines())
                .first()
                .asString()
                .startsWith("reference ");
        Outcome wrong = tiny.execute("list", "method");
        assertThat(wrong.code()).isEqualTo(2);
        assertThat(wrong.err()).contains("methods, formats, models, datasets, tasks, keys");
        assertThat(tiny.execute("list", "keys").out().lines())
                .contains(
                        "calibration",
                        "  seq_len                tokens in a chunk (a whole number from 2 to 1048576; default:"
                                + " `2048`)",
                        "  rank                   rank of the divisors (a whole number from 1 to 65536; default: by"
                                + " `rank_ratio`; of lrq)");
        assertThat(tiny.execute("list", "tasks").out().lines().map(line -> line.split(" +", -1)[0]))
                .containsExactlyElementsOf(Tasks.descriptions().keySet())
                .contains("arc_easy", "mmlu");
    }

    @Test
    void theShippedModelIsAsAnyFolder() throws IOException {
        Path shipped = ModelFolder.resolve("reference").path();
        Path copy = Files.createDirectory(folder.resolve("copy"));
        for (String file : List.of("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")) {
            Files.copy(shipped.resolve(file), copy.resolve(file));
        }
        tiny.config(TinyExperiment.CONFIG);
        String[] validate = {"validate", "DIR/config.toml", "--results", "DIR/results", "--set", ""};
        validate[5] = "model.path=reference";
        Outcome named = tiny.execute(validate);
        validate[5] = "model.path=DIR/copy";
        Outcome copied = tiny.execute(validate);

        assertThat(named.err()).isEmpty();
        assertThat(named.out()).contains("path = \"reference\"\n");
        assertThat(copied.out()).isEqualTo(named.out().replace("\"reference\"", "\"DIR/copy\""));
        assertThat(tiny.execute("sample", "--prompt", "The", "--tokens", "2").out())
                .startsWith("The");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ':',
            value = {
                "run: CONFIG, TAG, --set, --unset, --results, --force, --overwrite",
                "validate: CONFIG, --set, --results, --online",
                "sweep: [SWEEP] CONFIG TAG, --axis, --set, --unset, --overwrite, --results, --dry-run, --jobs,"
                        + " --fail-fast, --keep-going",
                "quantize-tensor: IN.safetensors, OUT.safetensors, --format, --skip-first-dim",
                "sample: --prompt, --model, --online, --tokens, --temperature, --top-p, --seed",
                "import-lqer: FILE, --model, --out, --SECTION:KEY=VALUE",
                "verify: RUN, --tolerance, --results, --keep, --online",
                "compare: RUN_A, RUN_B, --results, --all-flips",
                "export: RUN, DIR, --format, compressed-tensors, --dtype, --strict, --results",
                "cache: list, explain, prune",
                "fetch: NAME, --dataset, --config, --split",
                "list: WHAT"
            })
    void helpNamesEveryParameter(String command, String parameters) {
        Outcome outcome = tiny.execute(command, "--help");

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out())
                .startsWith("Usage: ptq " + command)
                .contains(parameters.strip().split(", "));
        assertThat(tiny.execute("--help").out()).contains(command);
    }

    @Test
    void tellsItsVersion() {
        assertThat(tiny.execute("--version").out()).matches("ptq \\d+\\.\\d+\\.\\d+.*\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"block_fp_weight2d", "block_fp_act2d", "integer", "minifloat", "passthrough"})
    void quantizeTensorEqualsTheReference(String group) throws IOException {
        Path file = Shared.golden("quant_" + group + ".safetensors");
        List<JsonNode> cases = Shared.cases(file);
        Map<String, List<JsonNode>> byFormat = new LinkedHashMap<>();
        for (JsonNode one : cases) {
            if (!one.get("kind").asString().equals("huge")) {
                byFormat.computeIfAbsent(one.get("quantizer").toString(), key -> new ArrayList<>())
                        .add(one);
            }
        }
        int formats = 0;
        try (Safetensors reference = Safetensors.open(file)) {
            for (List<JsonNode> same : byFormat.values()) {
                if (formats++ == 3) {
                    break;
                }
                JsonNode quantizer = same.get(0).get("quantizer");
                boolean skipFirst = quantizer.path("skip_first_dim").asBoolean(false);
                List<String> arguments = new ArrayList<>(List.of(
                        "quantize-tensor", file.toString(), "DIR/out.safetensors", "--format", format(quantizer)));
                if (skipFirst) {
                    arguments.add("--skip-first-dim");
                }
                Outcome outcome = tiny.execute(arguments.toArray(String[]::new));
                assertThat(outcome.err()).isEmpty();
                assertThat(outcome.code()).isZero();
                try (Safetensors rounded = Safetensors.open(folder.resolve("out.safetensors"))) {
                    assertThat(rounded.entries().keySet())
                            .isEqualTo(reference.entries().keySet());
                    for (JsonNode one : same) {
                        float[] actual = rounded.floats(one.get("input").asString());
                        float[] expected = reference.floats(one.get("output").asString());
                        assertThat(actual).hasSameSizeAs(expected);
                        for (int i = 0; i < actual.length; i++) {
                            assertThat(actual[i] == expected[i] || (Float.isNaN(actual[i]) && Float.isNaN(expected[i])))
                                    .as("%s at %d: %s, expected %s", one, i, actual[i], expected[i])
                                    .isTrue();
                        }
                    }
                }
            }
        }
        assertThat(formats).isPositive();
    }

    private static String format(JsonNode quantizer) {
        String name = quantizer.get("name").asString();
        List<String> keys = new ArrayList<>();
        keys.add("format = '"
                + Map.of("block_fp", "mxint", "integer", "fixed", "passthrough", "none")
                        .getOrDefault(name, name)
                + "'");
        Map.of(
                        "width", "bits",
                        "exponent_width", "exponent_bits",
                        "exponent_bias", "exponent_bias",
                        "block_size", "block_size",
                        "frac_width", "fraction_bits",
                        "is_signed", "signed")
                .forEach((theirs, ours) -> {
                    // "NA" or null leaves a key at its default
                    if (quantizer.has(theirs)
                            && !quantizer.get(theirs).isNull()
                            && !quantizer.get(theirs).isString()) {
                        keys.add(ours + " = " + quantizer.get(theirs));
                    }
                });
        return "{ " + String.join(", ", keys) + " }";
    }

    /** With a batch in front, a block of two rows spans them only without it. */
    @Test
    void quantizeTensorKeepsTheFirstDimensionApart() throws IOException {
        Path in = folder.resolve("llama/model.safetensors");
        String[] command = {
            "quantize-tensor",
            in.toString(),
            "DIR/out.safetensors",
            "--format",
            "{ format = 'mxint', bits = 4, block_size = [2, 8] }"
        };
        assertThat(tiny.execute(command).code()).isZero();
        Outcome refused = tiny.execute(
                "quantize-tensor", in.toString(), "DIR/other.safetensors", "--skip-first-dim", "--format", command[4]);

        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .matches(
                        "--skip-first-dim: expected tensors of two dimensions or more, in DIR/llama/model.safetensors 5"
                                + " have fewer: \\S+norm\\.weight, …; leave the option out, or them\n");
        assertThat(refused.out()).isEmpty();
        assertThat(folder.resolve("other.safetensors")).doesNotExist();
    }

    /** Blocks of two rows become blocks of one, each with an exponent: 4 bits and 8 for 8 values, not for 16. */
    @Test
    void quantizeTensorCountsTheBlocksThatItMakes() throws IOException {
        Path in = folder.resolve("matrix.safetensors");
        SafetensorsWriter.write(
                in,
                Map.of(),
                Map.of("w", RawTensor.of(new float[] {8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 2, 8)),
                Map.of());
        String[] command = {
            "quantize-tensor",
            in.toString(),
            "DIR/out.safetensors",
            "--format",
            "{ format = 'mxint', bits = 4, block_size = [2, 8], exponent_rounding = 'floor' }"
        };
        assertThat(tiny.execute(command).out().lines().skip(1)).allMatch(line -> line.contains(" 4.500 "));
        String[] apart = Arrays.copyOf(command, command.length + 1);
        apart[command.length] = "--skip-first-dim";
        assertThat(tiny.execute(apart).out().lines().skip(1)).allMatch(line -> line.contains(" 5.000 "));
        try (Safetensors out = Safetensors.open(folder.resolve("out.safetensors"))) {
            assertThat(out.shape("w")).containsExactly(2L, 8L);
            assertThat(out.floats("w")).containsExactly(8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        }
    }

    @Test
    void quantizeTensorPrintsTheErrorOfEachTensor() throws IOException {
        Outcome outcome = tiny.execute(
                "quantize-tensor",
                "DIR/llama/model.safetensors",
                "DIR/out.safetensors",
                "--format",
                "{ format = 'none' }");

        assertThat(outcome.out().lines().findFirst().orElseThrow())
                .matches("tensor +shape +bits/value +rel. error +max error");
        assertThat(outcome.out().lines().skip(1)).allMatch(line -> line.endsWith(" 32.000   0.0000e+00   0.0000e+00"));
        try (Safetensors before = Safetensors.open(folder.resolve("llama/model.safetensors"));
                Safetensors after = Safetensors.open(folder.resolve("out.safetensors"))) {
            for (String name : before.entries().keySet()) {
                assertThat(after.floats(name)).isEqualTo(before.floats(name));
            }
        }
    }

    @Test
    void quantizeTensorRefusesWhatIsWrong() throws IOException {
        Files.write(folder.resolve("damaged.safetensors"), new byte[] {1, 2, 3});
        assertThat(tiny.execute(
                        "quantize-tensor", "DIR/damaged.safetensors", "DIR/o", "--format", "{ format = 'none' }"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/damaged.safetensors: 3 bytes are too few for a safetensors file; is it truncated?\n"));
        assertThat(tiny.execute(
                        "quantize-tensor", "DIR/llama/model.safetensors", "DIR", "--format", "{ format = 'none' }"))
                .isEqualTo(new Outcome(2, "", "DIR: expected a file to write, found a folder\n"));
        assertThat(tiny.execute("quantize-tensor", "DIR/no.safetensors", "DIR/o.safetensors", "--format", "{}"))
                .isEqualTo(new Outcome(2, "", "DIR/no.safetensors: no such file\n"));
        String in = "DIR/llama/model.safetensors";
        assertThat(tiny.execute(
                                "quantize-tensor",
                                in,
                                "DIR/o.safetensors",
                                "--format",
                                "{ format = 'mxint', bitts = 4 }")
                        .err()
                        .lines())
                .containsExactlyInAnyOrder(
                        "--format:1:30: format.bitts: unknown key; did you mean \"bits\"?",
                        "--format:1:1: format.bits: expected a whole number from 2 to 23," + " but it is missing");
        assertThat(tiny.execute("quantize-tensor", in, "DIR/no/o.safetensors", "--format", "{ format = 'none' }"))
                .isEqualTo(new Outcome(2, "", "DIR/no/o.safetensors: there is no such folder to write it to\n"));
        assertThat(folder.resolve("o.safetensors")).doesNotExist();
    }
}
