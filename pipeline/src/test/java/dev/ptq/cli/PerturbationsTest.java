package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel.MapMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Evaluations of a model that is changed by next to nothing. */
class PerturbationsTest {
    private static final String THREE = "evaluation.perturbations=3";
    private static final String SPREAD = "perplexity/tales/numerical_spread";

    /** Weights rounded, without steps, so that nothing but the norm depends on the norm. */
    private static final String PLAIN = TinyExperiment.CONFIG
            .replaceAll("(?s)\\[\\[approximation]].*?(?=\\[quant)", "")
            .replaceAll("(?s)\\[quantization.activation].*?(?=\\[eval)", "");

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private List<double[]> perturbations(String variant) throws IOException {
        List<String> lines = Files.readAllLines(tiny.result("run/evaluate/" + variant + "/tales/perturbations.csv"));
        assertThat(lines.get(0)).isEqualTo("scale,loss");
        List<double[]> rows = new ArrayList<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] fields = line.split(",", -1);
            rows.add(new double[] {Double.parseDouble(fields[0]), Double.parseDouble(fields[1])});
        }
        return rows;
    }

    private static double metric(Map<String, Double> metrics, String name) {
        return Objects.requireNonNull(metrics.get(name), name);
    }

    @Test
    void lossesAreThoseOfModelsWithScaledNorms() throws IOException {
        Outcome outcome = tiny.run(PLAIN, "run", "--set", THREE);

        assertThat(outcome.code()).as(outcome.err()).isZero();
        List<double[]> rows = perturbations("quantized");
        assertThat(rows).extracting(row -> row[0]).containsExactly(1.0, 1 + 1e-6, 1 - 1e-6, 1 + 2e-6);
        Map<String, Double> metrics = tiny.metrics("run");
        double loss = metric(metrics, "perplexity/tales/loss");
        assertThat(rows.get(0)[1]).isEqualTo(loss);
        for (double[] row : rows) {
            scaleFirstNorm(row[0]);
            assertThat(tiny.run(PLAIN, "by-hand-" + row[0]).code()).isZero();
            assertThat(metric(tiny.metrics("by-hand-" + row[0]), "perplexity/tales/loss"))
                    .isEqualTo(row[1]);
            scaleFirstNorm(Double.NaN);
        }
        assertThat(metric(metrics, SPREAD))
                .isEqualTo(rows.stream()
                        .mapToDouble(row -> Math.abs(row[1] - loss))
                        .max()
                        .orElseThrow())
                .isPositive();
        assertThat(metrics).doesNotContainKey("full_precision/" + SPREAD);
    }

    private byte[] original = {};

    /** Multiplies the weight of the first norm in the file; by NaN, puts the file back as it was. */
    private void scaleFirstNorm(double scale) throws IOException {
        Path file = folder.resolve("llama/model.safetensors");
        if (Double.isNaN(scale)) {
            Files.write(file, original);
            return;
        }
        original = Files.readAllBytes(file);
        try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
            var map = access.getChannel()
                    .map(MapMode.READ_WRITE, 0, access.length())
                    .order(ByteOrder.LITTLE_ENDIAN);
            int header = (int) map.getLong(0);
            JsonNode tensor = JsonMapper.shared()
                    .readTree(new String(original, 8, header, StandardCharsets.UTF_8))
                    .path("model.layers.0.input_layernorm.weight");
            assertThat(tensor.path("dtype").asString()).isEqualTo("F32");
            int end = 8 + header + tensor.path("data_offsets").path(1).asInt();
            for (int at = 8 + header + tensor.path("data_offsets").path(0).asInt(); at < end; at += Float.BYTES) {
                map.putFloat(at, map.getFloat(at) * (float) scale);
            }
        }
    }

    @Test
    void aDifferenceBelowTheSpreadIsCalledSo() throws IOException {
        Outcome outcome = tiny.run(PLAIN, "run", "--set", THREE);

        assertThat(outcome.out()).contains("tales, numerical spread").doesNotContain("below the numerical spread");
        assertThat(tiny.run(PLAIN, "same").code()).isZero();
        assertThat(tiny.execute("compare", "DIR/results/run", "DIR/results/same")
                        .out())
                .contains("below the numerical spread");
    }

    @Test
    void baselinesAreChangedToo() throws IOException {
        assertThat(tiny.run(TinyExperiment.CONFIG, "run", "--set", THREE).code())
                .isZero();

        assertThat(perturbations("quantized")).hasSize(4);
        assertThat(perturbations("round_to_nearest")).hasSize(4).isNotEqualTo(perturbations("quantized"));
        assertThat(tiny.result("run/evaluate/full_precision/tales/perturbations.csv"))
                .doesNotExist();
    }

    @Test
    void withoutThemNothingIsAdded() throws IOException {
        assertThat(tiny.run(PLAIN, "run").code()).isZero();

        assertThat(tiny.metrics("run")).doesNotContainKey(SPREAD);
        assertThat(tiny.result("run/evaluate/quantized/tales/perturbations.csv"))
                .doesNotExist();
    }
}
