package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What goes otherwise than a config may lead one to expect, from the weights to the ledger of the run. */
class LedgerRunsTest {
    private static final String MODEL = """
            seed = 3
            [model]
            path = "DIR/llama"
            """ + TinyExperiment.CALIBRATED;

    private static final String INT3 = "[quantization.weight]\nformat = 'int'\nbits = 3\n";

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private static String step(String method, String keys) {
        return "[[approximation]]\nmethod = '" + method + "'\n" + keys.replace(";", "\n") + "\n";
    }

    private List<LedgerEntry> ledger(String toml, String tag) throws IOException {
        Outcome outcome = tiny.run(toml, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return tiny.ledger(tag);
    }

    /** Changes a tensor of the checkpoint. */
    private void change(String name, BiConsumer<NDArray, float[]> work) throws IOException {
        Path file = folder.resolve("llama/model.safetensors");
        try (NDManager manager = TensorEngine.newManager()) {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            try (Safetensors stored = Safetensors.open(file)) {
                for (String tensor : stored.entries().keySet()) {
                    tensors.put(tensor, stored.load(manager, tensor));
                }
            }
            NDArray tensor = Objects.requireNonNull(tensors.get(name), name);
            float[] values = tensor.toFloatArray();
            work.accept(tensor, values);
            tensors.put(name, NativeFloats.of(manager, values, tensor.getShape().getShape()));
            Files.delete(file);
            SafetensorsWriter.write(file, tensors, Map.of());
        }
    }

    @Test
    void aRunInWhichNothingHappensHasAnEmptyOne() throws IOException {
        Outcome outcome = tiny.run("strict = true\n" + MODEL + step("gptq", "") + INT3, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        assertThat(tiny.result("tag/ledger.csv")).content().isEqualTo("event,source,place,amount,note\n");
        assertThat(tiny.metrics("tag").keySet()).noneMatch(name -> name.startsWith("ledger"));
        assertThat(outcome.out()).doesNotContain("ledger");
    }

    /** A channel that its norm takes to zero is a dead column of each linear behind the norm. */
    @Test
    void deadColumns() throws IOException {
        change("model.layers.1.input_layernorm.weight", (tensor, values) -> {
            values[0] = 0;
            values[5] = 0;
        });
        List<LedgerEntry> ledger = ledger(MODEL + step("gptq", "") + INT3, "tag");
        assertThat(ledger)
                .extracting(LedgerEntry::place)
                .containsExactly(
                        "model.layers.1.self_attn.q_proj",
                        "model.layers.1.self_attn.k_proj",
                        "model.layers.1.self_attn.v_proj");
        assertThat(ledger)
                .allMatch(entry -> entry.event() == LedgerEvent.DEAD_COLUMNS
                        && entry.source().equals("gptq")
                        && entry.amount() == 2
                        && entry.note().startsWith("2 of 64 columns"));
        assertThat(tiny.metrics("tag").get("ledger/dead_columns")).isEqualTo(3.0);
    }

    /** Few tokens do not span all features: the least damping is not enough. */
    @Test
    void moreDamping() throws IOException {
        change("model.layers.0.input_layernorm.weight", (tensor, values) -> values[0] = 1e4f);
        String few = MODEL.replace("num_samples = 4", "num_samples = 1").replace("batch_size = 2", "batch_size = 1");
        List<LedgerEntry> ledger =
                ledger(few.replace("seq_len = 24", "seq_len = 2") + step("gptq", "damping = 1e-6") + INT3, "tag");
        assertThat(ledger)
                .filteredOn(entry -> entry.event() == LedgerEvent.MORE_DAMPING)
                .isNotEmpty()
                .allMatch(entry -> entry.amount() > 1e-6 && entry.note().endsWith(", 1.00e-06 was asked for"));
    }

    /** 7.9 / 8 of the range of a block of MXFP4 by its floor rule is cut off to 6; by the other rule nothing is. */
    @ParameterizedTest
    @CsvSource({"floor, true", "rceil, false"})
    void saturation(String rule, boolean saturates) throws IOException {
        change("model.layers.0.mlp.up_proj.weight", (tensor, values) -> {
            Arrays.fill(values, 0.5f);
            values[3] = 7.9f;
            values[64 * 7] = -7.9f;
        });
        List<LedgerEntry> ledger =
                ledger(MODEL + "[quantization.weight]\nformat = 'mxfp4'\nscale_rule = '" + rule + "'\n", "tag");
        List<LedgerEntry> ours = ledger.stream()
                .filter(entry -> entry.place().equals("model.layers.0.mlp.up_proj"))
                .toList();
        if (saturates) {
            assertThat(ours)
                    .hasSize(1)
                    .allMatch(entry -> entry.event() == LedgerEvent.SATURATED && entry.amount() == 2);
        } else {
            assertThat(ledger).isEmpty();
        }
    }

    /** Also where a step has changed the weight before it is rounded to nearest. */
    @Test
    void saturationBehindATransformation() throws IOException {
        List<LedgerEntry> plain = ledger(MODEL + "[quantization.weight]\nformat = 'mxfp4'\n", "plain");
        List<LedgerEntry> moved =
                ledger(MODEL + step("smoothquant", "") + "[quantization.weight]\nformat = 'mxfp4'\n", "smooth");
        assertThat(moved)
                .extracting(LedgerEntry::place)
                .containsExactlyInAnyOrderElementsOf(
                        plain.stream().map(LedgerEntry::place).toList());
        assertThat(moved).isNotEqualTo(plain);
    }

    @Test
    void weightsThatAreNoNumbersEndTheRun() throws IOException {
        change("model.layers.0.mlp.up_proj.weight", (tensor, values) -> {
            values[3] = Float.NaN;
            values[64 * 7] = Float.NEGATIVE_INFINITY;
        });
        Outcome outcome = tiny.run(MODEL + INT3, "tag");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err()).contains("model.layers.0.mlp.up_proj.weight has a value that is NaN or infinite");
    }

    /** A start far from the ranges of the weights, which no step of training follows. */
    @Test
    void blocksThatTrainingLeavesWorse() throws IOException {
        String worse = MODEL + step("omniquant", "epochs = 0;let = false;clip_init = -2.0") + INT3;
        List<LedgerEntry> ledger = ledger(worse, "tag");
        assertThat(ledger)
                .isNotEmpty()
                .allMatch(entry -> entry.event() == LedgerEvent.WORSE_THAN_NEAREST
                        && entry.source().equals("omniquant")
                        && entry.place().startsWith("blocks.")
                        && entry.amount() > 1);
        Outcome strict = tiny.run("strict = true\n" + worse, "strict");
        assertThat(strict.code()).isEqualTo(1);
        assertThat(strict.err())
                .contains("blocks.0: omniquant: loss ", "; train longer, ", "(strict = true)")
                .doesNotContain("at dev.ptq");
        assertThat(tiny.result("strict")).doesNotExist();
    }

    /** Factors of two bits are worse than none. */
    @Test
    void correctionsThatRaiseTheError() throws IOException {
        List<LedgerEntry> ledger = ledger(
                MODEL
                        + step("lqer", "rank = 32;factor = { format = 'int', bits = 2, granularity = 'tensor' }")
                        + "[quantization.weight]\nformat = 'int'\nbits = 8\n",
                "tag");
        assertThat(ledger)
                .hasSize(14)
                .allMatch(entry -> entry.event() == LedgerEvent.CORRECTION_WORSE
                        && entry.source().equals("lqer")
                        && entry.amount() > 1);
        String[] header = Files.readAllLines(tiny.result("tag/approximate/layers.csv"))
                .get(0)
                .split(",", -1);
        int before = List.of(header).indexOf("error_before");
        tiny.rows("tag/approximate/layers.csv").values().forEach(row -> {
            String[] cells = row.split(",", -1);
            assertThat(Double.parseDouble(cells[before + 1])).isGreaterThan(Double.parseDouble(cells[before]));
        });
    }

    /** As released code has it, queries and keys are scaled by single channels, which turns do not commute with. */
    @Test
    void foldsThatChangeTheFunction() throws IOException {
        String free = MODEL + step("omniquant", "epochs = 1;batch_size = 2;mappings = ['q_k'];q_k = 'free'") + INT3;
        List<LedgerEntry> ledger = ledger(free, "tag");
        assertThat(ledger)
                .filteredOn(entry -> entry.event() == LedgerEvent.MOVED)
                .isNotEmpty()
                .allMatch(entry -> entry.source().equals("omniquant") && entry.amount() > 1e-3);
        String exact = free.replace("'free'", "'exact'");
        assertThat(ledger(exact, "exact")).noneMatch(entry -> entry.event() == LedgerEvent.MOVED);
    }

    /** Every step that rescales has a row for each block, the rotation one for the model; the metrics are the largest. */
    @Test
    void everyFoldIsMeasured() throws IOException {
        String steps = step("quarot", "")
                + step("awq", "ratios = 2;unscaled = false;clip = false;mappings = ['attn_in']")
                + step("smoothquant", "mappings = ['mlp_in']")
                + step("omniquant", "epochs = 1;mappings = ['v_o']");
        ledger(MODEL + steps + INT3, "tag");
        List<String> folds = Files.readAllLines(tiny.result("tag/approximate/folds.csv"));
        assertThat(folds.get(0)).isEqualTo("method,block,distance");
        assertThat(folds.subList(1, folds.size()))
                .extracting(row -> row.substring(0, row.lastIndexOf(',')))
                .containsExactly(
                        "quarot,", "awq,0", "smoothquant,0", "omniquant,0", "awq,1", "smoothquant,1", "omniquant,1");
        List<Double> distances = folds.stream()
                .skip(1)
                .map(row -> Double.parseDouble(row.substring(row.lastIndexOf(',') + 1)))
                .toList();
        assertThat(distances).allMatch(distance -> distance >= 0 && distance < 1e-4);
        assertThat(tiny.metrics("tag").get("rotation_distance")).isEqualTo(distances.get(0));
        assertThat(tiny.metrics("tag").get("transform_distance"))
                .isEqualTo(Collections.max(distances.subList(1, distances.size())));
    }

    /** Stages that are taken from the cache keep their rows, and those of a strict run are looked into. */
    @Test
    void stagesKeepTheirRows() throws IOException {
        String worse = MODEL + step("omniquant", "epochs = 0;let = false;clip_init = -2.0") + INT3;
        List<LedgerEntry> first = ledger(worse, "first");
        assertThat(ledger(worse, "again")).isEqualTo(first).isNotEmpty();
        assertThat(tiny.stages("again", "reused").values()).containsOnly("true");
        Outcome strict = tiny.run("strict = true\n" + worse, "first");
        assertThat(strict.code()).isEqualTo(1);
        assertThat(strict.err()).contains("DIR/results/first/ledger.csv: blocks.0: omniquant: ");
        assertThat(tiny.stages("first", "fingerprint")).isEqualTo(tiny.stages("again", "fingerprint"));
        Outcome report = tiny.execute("report", "DIR/results", "--out", "DIR/report.html");
        assertThat(report.code()).as(report.err()).isZero();
        assertThat(Files.readString(folder.resolve("report.html")))
                .contains(" places left worse than rounded to nearest", "blocks.0: loss ");
    }
}
