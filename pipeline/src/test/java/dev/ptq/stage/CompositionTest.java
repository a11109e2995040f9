package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which steps go together, and what each asks of formats, model and the rest of the file. */
class CompositionTest {
    private static final String MODEL = "[model]\npath = \"reference\"\n";
    private static final String CALIBRATION = "[calibration]\ndataset = \"europarl\"\nnum_samples = 4\nseq_len = 64\n";
    private static final String INTEGERS = "[quantization.weight]\nformat = \"int\"\nbits = 4\n";

    @TempDir
    private Path folder;

    private Experiment read(String... parts) throws IOException {
        return Experiment.read(
                Files.writeString(
                        folder.resolve("x.toml"), String.join("", parts).replace('\'', '"')),
                List.of());
    }

    private static String steps(String... methods) {
        StringBuilder steps = new StringBuilder();
        for (String method : methods) {
            steps.append("[[approximation]]\nmethod = '")
                    .append(method.replace(";", "\n"))
                    .append("\n");
        }
        return steps.toString();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "smoothquant'|l2qer'",
                "smoothquant'|flexround'",
                "smoothquant'|lrq'|lqer'",
                "omniquant'|qera_exact'",
                "smoothquant';mappings = ['mlp_mid']|omniquant'",
                "smoothquant'|omniquant';let = false|l2qer'",
                "smoothquant'|lqer';of = 'weight'|flexround'",
                "l2qer';of = 'weight'|omniquant';mappings = []",
                "qera_approx';of = 'weight';pattern = '.*q_proj.*'|lrq'|lqer';pattern = '.*k_proj.*'",
                "l2qer';inputs = 'quantized'",
                "qera_exact';inputs = 'true_sequential'",
                "awq'",
                "awq';preset = 'llm_compressor'",
                "awq'|gptq'|l2qer'",
                "awq'|lqer';of = 'weight'|omniquant';let = false",
                "awq';clip = false;mappings = ['mlp_mid']|smoothquant'",
                "smoothquant'|awq';mappings = ['v_o']",
                "smoothquant'|svdquant'|gptq'",
                "svdquant';alternate = 3|omniquant';let = false",
                "awq'|srr'",
                "smoothquant'|qera_exact';alternate = 2",
                "gptq'|eora';shared_factor = true",
                "srr';pattern = '.*q_proj.*';inputs = 'quantized'",
                "srr';pattern = '.*q_proj.*'|l2qer';alternate = 1;pattern = '.*k_proj.*';inputs = 'quantized'",
                "gptq'|qera_exact';rank_budget = 0.5"
            })
    void thatGoTogether(String methods) throws IOException {
        Experiment experiment = read(MODEL, CALIBRATION, INTEGERS, steps(methods.split("\\|", -1)));
        assertThat(experiment.needsSamples()).isTrue();
        assertThat(experiment.usesCalibration()).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "flexround'|omniquant';approximation.1.method: omniquant comes after flexround, which has rounded the"
                        + " weights already; keep one of the two",
                "flexround'|smoothquant';approximation.1.method: smoothquant comes after flexround, which has rounded the"
                        + " weights already; the order is smoothquant, flexround",
                "lqer'|smoothquant';approximation.1.method: smoothquant changes weights whose error lqer has corrected"
                        + " already; the order is smoothquant, lqer",
                "lqer'|lrq';approximation.1.method: lrq changes weights whose error lqer has corrected already; the order"
                        + " is lrq, lqer",
                "gptq'|srr';approximation.1.method: srr comes after gptq, which has rounded the weights already; keep one of"
                        + " the two",
                "smoothquant'|omniquant';approximation.1.mappings: mapping attn_in is transformed by smoothquant already; leave"
                        + " it out in one of the two"
            })
    void thatDoNot(String methods, String problem) {
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, INTEGERS, steps(methods.split("\\|", -1))))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(problem);
    }

    /** A part that was taken out of a weight is not transformed with it, and is taken out before the rest is rounded. */
    @Test
    void aWeightIsSplitBetweenTransformationAndRounding() {
        assertRefused(
                "approximation.1.method: lqer comes after flexround, which has rounded the weights already; the order is"
                        + " lqer, flexround",
                "flexround'",
                "lqer';of = 'weight'");
        assertRefused(
                "approximation.1.method: smoothquant transforms weights of which lqer has taken a part out already; the"
                        + " order is smoothquant, lqer",
                "lqer';of = 'weight'",
                "smoothquant'");
        assertRefused(
                "approximation.1.mappings: omniquant transforms weights of which lqer has taken a part out already; leave"
                        + " the mappings out (mappings = []), or put a step last that corrects the error instead (of ="
                        + " \"error\")",
                "lqer';of = 'weight'",
                "omniquant'");
        assertRefused(
                "approximation.1.pattern: model.layers.0.self_attn.q_proj.weight is corrected by step 0 (lqer) already",
                "lqer';of = 'weight'",
                "l2qer'");
        assertRefused("approximation.0.inputs: unknown key", "lqer';inputs = 'quantized'");
    }

    /** Low-rank steps that go back and forth between factors and rounding leave nothing to round. */
    @Test
    void lowRankStepsThatRoundThemselves() {
        assertRefused(
                "approximation.1.method: gptq comes after qera_exact (alternate = 2), which has rounded the weights"
                        + " already; keep one of the two",
                "qera_exact';alternate = 2",
                "gptq'");
        assertRefused(
                "approximation.1.method: qera_exact (of = \"both\") comes after gptq, which has rounded the weights already;"
                        + " keep one of the two",
                "gptq'",
                "qera_exact';of = 'both'");
        assertRefused(
                "approximation.1.method: svdquant comes after gptq, which has rounded the weights already; the order is"
                        + " svdquant, gptq",
                "gptq'",
                "svdquant'");
        assertRefused(
                "approximation.1.method: svdquant comes after srr, which has rounded the weights already; the order is"
                        + " svdquant, srr",
                "srr'",
                "svdquant'");
        assertRefused(
                "approximation.1.pattern: model.layers.0.self_attn.q_proj.weight is corrected by step 0 (srr) already",
                "srr'",
                "lqer'");
        assertRefused(
                "approximation.1.method: smoothquant changes weights whose error eora has corrected already; the order is"
                        + " smoothquant, eora",
                "eora'",
                "smoothquant'");
    }

    /** What was clipped is not to be rescaled, and nothing is searched where nothing is rounded. */
    @Test
    void clippedWeightsStayAsTheyAre() {
        assertRefused(
                "approximation.1.method: smoothquant rescales weights that awq has clipped already; set clip = false there,"
                        + " or put that step behind this one",
                "awq';mappings = ['mlp_mid']",
                "smoothquant'");
        assertRefused(
                "approximation.1.method: omniquant rescales weights that awq has clipped already",
                "awq';mappings = []",
                "omniquant'");
        assertRefused("approximation.0.clip_tokens: unknown key", "awq';clip = false;clip_tokens = 3");
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, steps("awq'")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("awq compares how weights round, and none has a format: add one to");
        assertThatThrownBy(() -> read(MODEL, INTEGERS, steps("awq'")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("awq needs statistics: add a [calibration] section");
    }

    private void assertRefused(String problem, String... methods) {
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, INTEGERS, steps(methods)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(problem);
    }

    @Test
    void learnedRoundingTakesIntegers() {
        String mxint = "[quantization.weight]\nformat = 'mxint'\nbits = 4\n";
        for (String method : List.of("omniquant'", "affinequant'", "lrquant'", "flexround'", "lrq'")) {
            assertThatThrownBy(() -> read(MODEL, CALIBRATION, mxint, steps(method)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("learns the scales of integers, and"
                            + " model.layers.0.self_attn.q_proj.weight has another format; give it format = \"int\" or"
                            + " \"none\"");
            String gptq = "[quantization.weight]\nformat = 'int'\ngrid = 'gptq'\nbits = 4\n";
            assertThatThrownBy(() -> read(MODEL, CALIBRATION, gptq, steps(method)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("model.layers.0.self_attn.q_proj.weight has another format; give it format ="
                            + " \"int\" with grid = \"narrow\" or \"none\"");
            String half = "[quantization.weight]\nformat = 'int'\nscale_dtype = 'float16'\nbits = 4\n";
            assertThatThrownBy(() -> read(MODEL, CALIBRATION, half, steps(method)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("has another format; give it scale_dtype = \"float32\" or \"none\"");
            assertThatThrownBy(() -> read(MODEL, CALIBRATION, steps(method)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining(
                            "trains a block whose weights are rounded, and no weight has a format: add one");
            assertThatThrownBy(() -> read(MODEL, INTEGERS, steps(method)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("trains on samples: add a [calibration] section");
        }
    }

    /** AutoRound learns its own integers, after what rescales and before what corrects. */
    @Test
    void autoRoundTakesItsIntegers() throws IOException {
        for (String weight : List.of(
                "format = 'int'\nbits = 4",
                "format = 'int'\nbits = 4\ngrid = 'gptq'",
                "format = 'mxint'\nbits = 4",
                "format = 'hqq'\nbits = 4")) {
            assertThatThrownBy(() ->
                            read(MODEL, CALIBRATION, "[quantization.weight]\n" + weight + "\n", steps("autoround'")))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("autoround learns the scales of integers, and"
                            + " model.layers.0.self_attn.q_proj.weight has another format; give it format = \"int\" with"
                            + " grid = \"full_range\" and range = \"minmax\" or \"none\"");
        }
        String own = "[quantization.weight]\nformat = 'int'\nbits = 4\ngrid = 'full_range'\n";
        assertThatThrownBy(() -> read(MODEL, own, steps("autoround'")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("trains on samples: add a [calibration] section");
        for (String problem : List.of(
                "learning_rate = -1|learning_rate: expected",
                "scale_type = 'bfloat16'|scale_type: expected one of [float16, float32], got \"bfloat16\"",
                "epochs = 2|epochs: unknown key",
                "iters = 200|iters: unknown key",
                "batch_size = 5|batch_size: expected at most calibration.num_samples, 4, got 5")) {
            String[] parts = problem.split("\\|", -1);
            assertThatThrownBy(() -> read(
                            MODEL,
                            CALIBRATION,
                            own,
                            steps("autoround';" + (parts[0].startsWith("batch") ? "" : "batch_size = 4;") + parts[0])))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining(parts[1]);
        }
        String step = "autoround';batch_size = 4";
        for (String before : List.of("smoothquant'", "awq'", "quarot'")) {
            read(MODEL, CALIBRATION, own, steps(before, step, "l2qer';rank = 4"));
        }
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, own, steps(step, "gptq'")))
                .isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, own, steps(step, "smoothquant'")))
                .isInstanceOf(ConfigException.class);
    }

    @Test
    void somethingMustBeLeftToLearn() {
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, INTEGERS, steps("omniquant';let = false;lwc = false")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("omniquant has nothing to learn: no mapping is transformed, and lwc is false");
        assertThatThrownBy(() ->
                        read(MODEL, CALIBRATION, INTEGERS + "symmetric = false\nrange = 'mse'\n", steps("omniquant'")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("omniquant learns the ranges of weights, and that of"
                        + " model.layers.0.self_attn.q_proj.weight is searched for; take range = \"minmax\", or lwc ="
                        + " false");
    }

    /** The first weight of each table. */
    @Test
    void weightsThatAFormatCannotRoundAreNamed() throws IOException {
        String hqq = "[quantization.weight]\nformat = 'hqq'\nbits = 4\n";
        assertThat(read(MODEL, hqq).usesCalibration()).isFalse();
        String override =
                "[[quantization.override]]\npattern = '.*(down|up)_proj.*'\nweight = { format = 'hqq', bits = 3, group_size = 9 }\n";
        assertThatThrownBy(() -> read(MODEL, hqq + "group_size = 192\n", override))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(
                        "quantization.weight: model.layers.0.self_attn.q_proj.weight: its 65536 values are"
                                + " no multiple of group_size 192; take 128, or granularity = \"channel\"")
                .hasMessageContaining("quantization.override.0.weight: model.layers.0.mlp.up_proj.weight: its ")
                .satisfies(
                        e -> assertThat(String.valueOf(e.getMessage()).lines()).hasSize(2));
        assertThat(read(MODEL, hqq, override.replace("group_size = 9", "group_size = 8"))
                        .usesCalibration())
                .isFalse();
    }

    @Test
    void samplesThatPassOneByOneAreNoBatch() throws IOException {
        String batch = INTEGERS + "[quantization.activation]\nformat = 'llm_int8'\nper = 'batch'\n";
        for (String step : List.of("l2qer';inputs = 'quantized'", "gptq'", "omniquant'")) {
            assertThatThrownBy(() -> read(MODEL, CALIBRATION, batch, steps(step)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining(
                            "with per = \"batch\" the sequences of a batch decide together what is rounded,"
                                    + " but steps that take their inputs from rounded blocks see one sample at a time; set per ="
                                    + " \"sequence\"");
            assertThat(read(MODEL, CALIBRATION, batch.replace("batch", "sequence"), steps(step))
                            .needsSamples())
                    .isTrue();
        }
        assertThat(read(MODEL, CALIBRATION, batch, steps("l2qer'")).usesCalibration())
                .isTrue();
    }

    @Test
    void transformationsTakeAnyFormat() throws IOException {
        String mxint = "[quantization.weight]\nformat = 'mxint'\nbits = 4\n";
        assertThat(read(MODEL, CALIBRATION, mxint, steps("omniquant';lwc = false"))
                        .needsSamples())
                .isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "omniquant';mappings = ['attn_inn']|mappings.0: expected one of [attn_in, mlp_in, mlp_mid, q_k, v_o], got"
                        + " \"attn_inn\"; did you mean \"attn_in\"?",
                "smoothquant';mappings = ['q_k']|mappings.0: expected one of [attn_in, mlp_in, mlp_mid, v_o], got \"q_k\"",
                "lrq';rank = 300|rank: expected at most 256, the smaller side of",
                "omniquant';parameters = 'nowhere'|parameters: expected a folder of learned parameters,"
                        + " approximate/parameters of a run, got '",
                "srr';rank = 300|rank: expected at most 256, the smaller side of model.layers.0.self_attn.q_proj.weight",
                "srr';of = 'error'|of: unknown key",
                "eora';metric = 'identity'|metric: unknown key",
                "svdquant';inputs = 'quantized'|inputs: unknown key",
                "svdquant';metric = 'hesian'|metric: expected one of [hessian, identity, mean_abs, second_moment], got"
                        + " \"hesian\"; did you mean \"hessian\"?",
                "qera_exact';rank = 8;rank_budget = 0.5|rank: unknown key",
                "lqer';rank_budget = 0|rank_budget: expected",
                "lqer';rank_budget = 0.0001|rank_budget: expected at least 0.0058, which one rank of one weight takes in"
                        + " block 0, got 1.0E-4",
                "qera_exact';rank_budget = 1;inputs = 'true_sequential'|rank_budget: ranks are chosen for all weights of a"
                        + " block at once",
                "lqer';alternate = -1|alternate: expected a whole number from 0 to 1000, got -1",
                "lqer';path_input = 'float'|path_input: expected one of [rounded, unrounded]",
                "omniquant';epoch = 5|epoch: unknown key; did you mean \"epochs\"?",
                "omniquant';let = false;alpha = 0.5|alpha: unknown key",
                "lrq';rank = 4;rank_ratio = 0.5|rank_ratio: unknown key",
                "lrq';rank_ratio = 0|rank_ratio: expected",
                "omniquant';mappings = ['mlp_in'];q_k = 'free'|q_k: unknown key",
                "lrquant';mappings = ['q_k'];shift = 'zero'|shift: unknown key",
                "omniquant';mappings = [];let_learning_rate = 0.1|let_learning_rate: unknown key",
                "affinequant';mappings = ['mlp_in'];stability_factor = 0.2|stability_factor: unknown key",
                "affinequant';mappings = ['v_o'];norm_matrix = true|norm_matrix: unknown key",
                "omniquant';batch_size = 5|batch_size: expected at most calibration.num_samples, 4, got 5",
                "flexround';quantized_activations = true|quantized_activations: expected false where nothing but"
                        + " weights is rounded, got true"
            })
    void keys(String step, String problem) {
        assertThatThrownBy(() -> read(MODEL, CALIBRATION, INTEGERS, steps(step)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(problem);
    }
}
