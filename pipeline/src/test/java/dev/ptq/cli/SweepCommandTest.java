package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sweeps from the command line, their points in processes of their own. */
class SweepCommandTest {
    private static final String GRID = """
            [axes]
            "approximation.l2qer.rank" = [2, 4]
            "quantization.weight.bits" = [3, 4]
            """;

    private static final String RANKS = "axes.\"approximation.l2qer.rank\" = [2, 4]\n";

    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        tiny.config(TinyExperiment.CONFIG);
    }

    private Outcome sweep(String toml, String... options) throws IOException {
        Files.writeString(folder.resolve("s.toml"), toml.replace("DIR", folder.toString()));
        List<String> arguments =
                new ArrayList<>(List.of("sweep", "DIR/s.toml", "DIR/config.toml", "tag", "--results", "DIR/results"));
        arguments.addAll(List.of(options));
        return tiny.execute(arguments.toArray(String[]::new));
    }

    /** How often a stage was executed for the points, by the name of the stage. */
    private Map<String, Integer> executions(String... points) throws IOException {
        Map<String, Integer> executions = new TreeMap<>();
        for (String point : points) {
            tiny.stages("tag/" + point, "reused")
                    .forEach((stage, reused) -> executions.merge(stage, reused.equals("false") ? 1 : 0, Integer::sum));
        }
        return executions;
    }

    private static Map<Path, FileTime> times(Path directory) throws IOException {
        Map<Path, FileTime> times = new TreeMap<>();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.filter(file -> !file.endsWith("sweep.json") && !file.endsWith("sweep.toml"))
                    .filter(file -> !file.equals(directory))
                    .toList()) {
                times.put(file, Files.getLastModifiedTime(file));
            }
        }
        return times;
    }

    /** Two at once, so that what they share could be made twice. */
    @Test
    void pointsAreRunsThatShareStages() throws IOException {
        Outcome outcome = sweep(RANKS, "--jobs", "2");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out().lines())
                .map(line -> line.replaceAll("\\d+\\.\\d{4}", "P").replaceAll("\\d+\\.\\d\\b", "S"))
                .map(line -> line.replaceAll(" +", " "))
                .containsExactly(
                        "point perplexity tales seconds state",
                        "rank-2 P S done",
                        "rank-4 P S done",
                        "results: DIR/results/tag");
        assertThat(executions("rank-2", "rank-4"))
                .containsOnly(
                        Map.entry("calibrate", 1),
                        Map.entry("evaluate/full_precision/tales", 1),
                        Map.entry("evaluate/round_to_nearest/tales", 1),
                        Map.entry("approximate", 2),
                        Map.entry("quantize", 2),
                        Map.entry("cost", 2),
                        Map.entry("evaluate/quantized/tales", 2));

        tiny.execute("run", "DIR/results/tag/rank-4/resolved.toml", "alone", "--results", "DIR/results");
        assertThat(tiny.stages("alone", "fingerprint")).isEqualTo(tiny.stages("tag/rank-4", "fingerprint"));
        assertThat(tiny.result("tag/rank-4/config.toml")).hasSameTextualContentAs(folder.resolve("config.toml"));
        assertThat(tiny.json("tag/sweep.json").get("points").valueStream())
                .allMatch(point -> point.get("state").asString().equals("done"))
                .map(point -> point.get("set").toString())
                .containsExactly("{\"approximation.l2qer.rank\":2}", "{\"approximation.l2qer.rank\":4}");

        assertTheSameSweepAgainRunsNothing();
        assertALongerSweepRunsWhatIsMissing();
    }

    private void assertTheSameSweepAgainRunsNothing() throws IOException {
        Map<Path, FileTime> before = times(tiny.result("tag"));
        Outcome again = sweep(RANKS);

        assertThat(again.code()).isZero();
        assertThat(again.out().lines().filter(line -> line.endsWith("  already done")))
                .hasSize(2);
        assertThat(times(tiny.result("tag"))).isEqualTo(before);
    }

    private void assertALongerSweepRunsWhatIsMissing() throws IOException {
        String longer = RANKS + "[points.plain]\napproximation = []\n\"quantization.weight.bits\" = 4";
        Outcome dry = sweep(longer, "--dry-run");
        assertThat(dry).isEqualTo(new Outcome(0, """
                        point   state   changes
                        rank-2  done    approximation.l2qer.rank=2
                        rank-4  done    approximation.l2qer.rank=4
                        plain   to run  approximation=[] quantization.weight.bits=4
                        3 points, 2 done
                        """, ""));
        Map<Path, FileTime> before = times(tiny.result("tag"));

        Outcome outcome = sweep(longer);
        assertThat(outcome.out().lines().filter(line -> line.endsWith("  done")))
                .singleElement()
                .asString()
                .startsWith("plain ");
        assertThat(times(tiny.result("tag"))).containsAllEntriesOf(before);
        assertThat(tiny.stages("tag/plain", "reused"))
                .containsEntry("evaluate/full_precision/tales", "true")
                .containsEntry("quantize", "false");
    }

    /** The second model has a weight that is no number, which shows when it is loaded. */
    @Test
    void aFailedPointIsARowAndIsRetried() throws IOException {
        SyntheticModel.llama()
                .vocabulary(259)
                .positions(64)
                .heads(4, 2)
                .tokenizer()
                .write(folder.resolve("other"));
        Path weights = folder.resolve("other/model.safetensors");
        byte[] whole = Files.readAllBytes(weights);
        breakWeight(weights);
        String models = "zip = [{ seed = [1, 2], 'model.path' = ['DIR/other', 'DIR/llama'] }]";
        Outcome outcome = sweep(models);

        String reason =
                "DIR/other/model.safetensors: tensor model.layers.0.self_attn.k_proj.weight has a value that is NaN"
                        + " or infinite; the checkpoint is damaged";
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.out().lines().skip(1).findFirst().orElseThrow())
                .matches("seed-1 +- +\\d+\\.\\d  failed: .*")
                .endsWith("failed: " + reason);
        assertThat(outcome.out().lines().skip(2).findFirst().orElseThrow())
                .matches("seed-2 +\\d+\\.\\d{4} +\\d+\\.\\d  done");
        assertThat(tiny.json("tag/sweep.json").get("points").get(0).get("error").asString())
                .isEqualTo(reason.replace("DIR", folder.toString()));
        assertThat(tiny.result("tag/seed-1")).doesNotExist();

        Files.write(weights, whole);
        Outcome again = sweep(models, "--fail-fast");
        assertThat(again.code()).isZero();
        assertThat(again.out().lines().skip(1).map(line -> line.replaceAll(".*  ", "")))
                .containsExactly("done", "already done", "results: DIR/results/tag");
        assertThat(tiny.json("tag/sweep.json").get("points").get(0).has("error"))
                .isFalse();
    }

    private static void breakWeight(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            ByteBuffer size = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            channel.read(size, 0);
            // the second tensor of the first block comes after the embedding and the query's weight
            long at = 8 + size.getLong(0) + 4L * (259 * 64 + 64 * 64);
            channel.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, Float.NaN), at);
        }
    }

    @Test
    void dryRunPrintsThePointsAndWritesNothing() throws IOException {
        Outcome outcome = sweep(
                "axes.'quantization.weight' = [{ format = 'mxint', bits = 4 }, { format = 'none' }]\n",
                "--dry-run",
                "--set",
                "seed=4");

        assertThat(outcome).isEqualTo(new Outcome(0, """
                        point                       state   changes
                        weight-format-mxint-bits-4  to run  quantization.weight={ format = "mxint", bits = 4 }
                        weight-format-none          to run  quantization.weight={ format = "none" }
                        2 points, 0 done
                        """, ""));
        assertThat(tiny.result("")).doesNotExist();
    }

    @Test
    void allPointsAreCheckedBeforeOneIsRun() throws IOException {
        assertRefused(
                """
                [axes]
                "approximation.l2qer.rank" = [2, 64]
                "quantization.weight.bits" = [3, 99, 4]
                "quantization.weight.bit" = [3]
                [points.long]
                "calibration.num_samples" = 400
                """,
                "DIR/s.toml:4:1: quantization.weight.bit: unknown key; did you mean \"bits\"? (point rank-2_bits-3 and 5"
                        + " more)",
                "DIR/s.toml:3:1: quantization.weight.bits: expected a whole number from 2 to 23, got 99 (point"
                        + " rank-2_bits-99 and 1 more)",
                "DIR/s.toml:2:1: approximation.0.rank: expected at most 32, the smaller side of"
                        + " model.layers.0.self_attn.k_proj.weight [32, 64], got 64 (point rank-64_bits-3 and 2 more)",
                "DIR/text.txt: has 25 chunks of 24 tokens, calibration asks for 400; lower num_samples or seq_len, or take"
                        + " a longer text (point long)");
    }

    @Test
    void whatAllPointsHaveIsSaidOnce() throws IOException {
        tiny.config(TinyExperiment.CONFIG.replace("bits = 8", "bits = 80"));
        assertRefused(
                GRID,
                "DIR/config.toml:17:1: quantization.activation.bits: expected a whole number from 2 to 23, got 80");
    }

    @Test
    void settingsThatNoPointKeepsAreRefused() throws IOException {
        assertRefused(
                List.of("--set", "quantization.weight.bits=2", "--set", "seed=4"),
                GRID,
                "--set quantization.weight.bits=2: has no effect, as every point of DIR/s.toml sets this key; change it"
                        + " there");
        assertThat(sweep(GRID + "[points.x]", "--dry-run", "--set", "quantization.weight.bits=2")
                        .code())
                .isZero();
    }

    @Test
    void theSweepFileIsCheckedFirst() throws IOException {
        assertRefused("axis = 3\npoints.x = {}", "DIR/s.toml:1:1: axis: unknown key; did you mean \"axes\"?");
        assertThat(tiny.execute("sweep", "DIR/none.toml", "DIR/config.toml", "tag"))
                .isEqualTo(new Outcome(2, "", "DIR/none.toml: no such file\n"));
        assertThat(tiny.execute("sweep", "DIR/s.toml", "DIR/none.toml", "tag"))
                .isEqualTo(new Outcome(2, "", "DIR/none.toml: no such file\n"));
        assertRefused(List.of("--jobs", "0"), GRID, "--jobs: expected a whole number of at least 1, got 0");
        assertThat(sweep(GRID, "--fail-fast", "--keep-going").err()).contains("mutually exclusive");
    }

    @Test
    void aTagIsOfASweepOrOfARun() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "tag");
        assertThat(sweep(GRID))
                .isEqualTo(new Outcome(2, "", "DIR/results/tag: is a run; a sweep needs a tag of its own\n"));
        Files.createDirectories(tiny.result("other/rank-2_bits-3"));
        Outcome foreign = tiny.execute(
                "sweep", "DIR/s.toml", "DIR/config.toml", "other", "--results", "DIR/results", "--dry-run");
        assertThat(foreign)
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/results/other/rank-2_bits-3: exists and is not a run with a readable manifest; use another tag"
                                + " or remove it (point rank-2_bits-3)\n"));
    }

    private void assertRefused(String toml, String... problems) throws IOException {
        assertRefused(List.of(), toml, problems);
    }

    private void assertRefused(List<String> options, String toml, String... problems) throws IOException {
        Outcome outcome = sweep(toml, options.toArray(String[]::new));

        assertThat(outcome.err().lines()).containsExactly(problems);
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.out()).isEmpty();
        assertThat(tiny.result("")).doesNotExist();
    }
}
