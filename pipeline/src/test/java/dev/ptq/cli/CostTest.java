package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.TinyFamilies;
import dev.ptq.tensor.Hadamard;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a token costs, against numbers worked out by hand from the shapes of tiny models. */
class CostTest {
    private static final String MODEL = """
            [model]
            path = "DIR/llama"
            """;

    private static final String W3A8 = """
            [quantization.weight]
            format = "int"
            bits = 3
            granularity = "channel"
            symmetric = true
            [quantization.activation]
            format = "int"
            bits = 8
            granularity = "token"
            symmetric = true
            """;

    private static final String TEXT = """
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 2
            """;

    /** Weights of the linears: in each of two blocks q and o 64 by 64, k and v 32 by 64, gate, up and down 112 by 64. */
    private static final double WEIGHTS = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 112 * 64);

    /** Rows of these, each of which has a scale of 16 bits. */
    private static final double ROWS = 2 * (64 + 64 + 32 + 32 + 112 + 112 + 64);

    /** Both products of attention in float, 4 heads of 16 features over 24 tokens. */
    private static final double ATTENTION = 2 * 2 * (64 * 24) * 16 * 16;

    /** Keys and values of 2 heads of 16 features in half precision. */
    private static final double CACHE = 2 * 2 * (32 * 24) * 2;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private Map<String, Double> costs(String config) throws IOException {
        Outcome outcome = tiny.run(config, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return tiny.metrics("tag");
    }

    private static double value(Map<String, Double> metrics, String name) {
        return Objects.requireNonNull(metrics.get(name), name);
    }

    private static void check(Map<String, Double> metrics, double operations, double bytes) {
        assertThat(metrics.get("bops_per_token")).isCloseTo(operations, within(1e-9 * operations));
        assertThat(metrics.get("bytes_per_token")).isCloseTo(bytes, within(1e-9 * bytes));
    }

    @Test
    void aRoundedModel() throws IOException {
        Map<String, Double> metrics = costs(MODEL + W3A8 + TEXT);

        check(metrics, WEIGHTS * 3 * 8 + ATTENTION, (WEIGHTS * 3 + ROWS * 16) / 8 + CACHE);
        assertThat(metrics).containsEntry("cost_context", 24.0);
        assertThat(tiny.rows("tag/cost/layers.csv"))
                .hasSize(16)
                .containsEntry(
                        "model.layers.1.self_attn.k_proj",
                        "model.layers.1.self_attn.k_proj," + 32.0 * 64 * 3 * 8 + "," + (32.0 * 64 * 3 + 32 * 16) / 8)
                .containsEntry("blocks.0", "blocks.0," + ATTENTION / 2 + "," + CACHE / 2);
    }

    @Test
    void theTableShowsIt() throws IOException {
        assertThat(tiny.run(MODEL + W3A8 + TEXT, "tag").out())
                .contains("for a token that sees 24: ")
                .contains(" bit operations, ");
    }

    /** A float counts 16 bits in a product, and 32 where it is stored. Without a text the model's 64 positions count. */
    @Test
    void fullPrecision() throws IOException {
        Map<String, Double> metrics = costs(MODEL);

        check(metrics, WEIGHTS * 16 * 16 + ATTENTION / 24 * 64, WEIGHTS * 4 + CACHE / 24 * 64);
        assertThat(metrics).containsEntry("cost_context", 64.0);
    }

    @Test
    void factorsOfALowRankPath() throws IOException {
        String step = """
                [[approximation]]
                method = "lqer"
                rank = 4
                factor = { format = "fixed", bits = 6, fraction_bits = 4 }
                product_a = { format = "fixed", bits = 5, fraction_bits = 2 }
                pattern = '.*k_proj\\.weight'
                """;
        Map<String, Double> metrics = costs(MODEL + step + W3A8 + TEXT);
        // x A: the inputs of 8 bits; (x A) B: what product_a leaves of x A
        double operations = 2 * 4 * (64 * 6 * 8 + 32 * 6 * 5);
        double bits = 2 * 4 * (64 + 32) * 6;

        check(metrics, WEIGHTS * 3 * 8 + ATTENTION + operations, (WEIGHTS * 3 + ROWS * 16 + bits) / 8 + CACHE);
    }

    /** One A for q, k and v, which is computed once; the path reads inputs before they are rounded. */
    @Test
    void factorsThatPathsShare() throws IOException {
        String step = """
                [[approximation]]
                method = "lqer"
                rank = 4
                shared_factor = true
                path_input = "unrounded"
                factor = { format = "fixed", bits = 6, fraction_bits = 4 }
                pattern = '.*[qkv]_proj\\.weight'
                """;
        Map<String, Double> metrics = costs(MODEL + step + W3A8 + TEXT);
        double operations = 2 * 4 * (64 * 6 * 16 + (64 + 32 + 32) * 6 * 8);
        double bits = 2 * 4 * (64 + 64 + 32 + 32) * 6;

        check(metrics, WEIGHTS * 3 * 8 + ATTENTION + operations, (WEIGHTS * 3 + ROWS * 16 + bits) / 8 + CACHE);
    }

    /** Heads of 16 take 4 additions a value; 112 = 4 · 28, of which 28 is no power of two, takes 2 + 27. */
    @Test
    void rotationsOfActivations() throws IOException {
        String step = """
                [[approximation]]
                method = "quarot"
                """;
        Map<String, Double> plain = costs(MODEL + W3A8 + TEXT);
        Outcome outcome = tiny.run(MODEL + step + W3A8 + TEXT, "rotated");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        int ofMlp = Hadamard.of(112).orElseThrow().additionsPerValue();
        double additions = 2 * ((64 + 32) * 4 + 112 * ofMlp);

        check(
                tiny.metrics("rotated"),
                value(plain, "bops_per_token") + additions * 16,
                value(plain, "bytes_per_token"));
        assertThat(ofMlp).isEqualTo(2 + 27);
    }

    /** 24 tokens less a window of 4 are two groups of 8 and 4 more that stay in half precision with the window. */
    @Test
    void aRoundedCache() throws IOException {
        String kv = """
                [quantization.kv]
                key = { format = "int", bits = 4, per = "channel", group_size = 8, symmetric = true }
                window = 4
                """;
        Map<String, Double> metrics = costs(MODEL + W3A8 + kv + TEXT);
        double attention = 2 * 64 * (16 * (16 * 4 + 8 * 16) + 16 * 24 * 16);
        double keys = 2 * 32 * (16 * 4 + 2 * 16 + 8 * 16);
        double values = 2 * 32 * 24 * 16;

        check(metrics, WEIGHTS * 3 * 8 + attention, (WEIGHTS * 3 + ROWS * 16 + keys + values) / 8);
    }

    /** Of four experts a token passes two, and the shared one. */
    @Test
    void onlyActiveExpertsCount() throws IOException {
        Path family = TinyFamilies.few().stream()
                .filter(path -> path.endsWith("qwen2_moe"))
                .findFirst()
                .orElseThrow();
        Path model = Files.createDirectory(folder.resolve("model"));
        for (String file : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(family.resolve(file), model.resolve(file));
        }
        Files.copy(folder.resolve("llama/tokenizer.json"), model.resolve("tokenizer.json"));
        Map<String, Double> metrics = costs(MODEL.replace("llama", "model") + W3A8 + TEXT);
        double attention = 2 * (2 * 64 * 64 + 2 * 32 * 64);
        double experts = 2 * 3 * (2 * 48 + 80) * 64;
        // a shared expert has 80 features in the middle, each other one 48
        double rows = 2 * (64 + 64 + 32 + 32 + (2 * 48 + 80) * 2 + 3 * 64);

        check(metrics, (attention + experts) * 3 * 8 + ATTENTION, ((attention + experts) * 3 + rows * 16) / 8 + CACHE);
    }
}
