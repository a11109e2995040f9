package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Rounding in one pass, with and without GPTQ, against what today's tools make of the same model and texts. */
class GoldenOneShotTest {
    private static final String CONFIG = """
        [model]
        path = "%s"
        [calibration]
        dataset = "%s"
        num_samples = 32
        sample = "start"
        seq_len = 256
        [evaluation]
        baselines = []
        [[evaluation.perplexity]]
        name = "t"
        dataset = "%s"
        seq_len = 256
        max_samples = 128
        [quantization]
        weight = %s
        """;

    /**
     * A row where a value on the edge of two codes falls to one side or the other, as the processor adds, and moves those
     * behind it: on some processors by more than is allowed here.
     */
    private static final String FLIPPED = "stories_gptqmodel_w3_g32_sym";

    @TempDir
    private Path folder;

    /**
     * Rows of AWQ that do not agree as closely as the others. In symmetric integers of compressed-tensors the largest
     * weight of a group lies on the edge of two codes; in those of a range that was clipped to both sides alike, the zero
     * point does. Activations that differ in their last bit, as between processors, thus move the losses by 2e-3, 4e-3 and
     * 2e-2; the tools' are farther off than that, and why is not known. On some processors the last is beyond what is allowed here.
     */
    private static final Map<String, Double> ON_THE_EDGE = Map.of(
            "stories_llmc_awq_w4_g32m_sym",
            5e-3,
            "stories_gptqmodel_awq_w4_ch_asym",
            1.5e-2,
            "stories_gptqmodel_awq_w3_ch_asym",
            1.5e-2);

    private static List<JsonNode> rows() throws IOException {
        List<JsonNode> rows = new ArrayList<>(rows("golden/oneshot.json"));
        rows.addAll(rows("golden/learned.json"));
        return rows;
    }

    private static List<JsonNode> rows(String name) throws IOException {
        Optional<Path> file = Shared.find(name);
        assumeTrue(file.isPresent(), "no shared files");
        JsonNode rows = JsonMapper.shared()
                .readTree(Files.readAllBytes(file.orElseThrow()))
                .path("rows");
        return StreamSupport.stream(rows.spliterator(), false).toList();
    }

    static Stream<String> all() throws IOException {
        return Shared.find("golden/oneshot.json").isEmpty()
                ? Stream.of("none")
                : rows().stream()
                        .filter(row -> row.path("model").asString("").equals("stories")
                                || row.path("repo").asString("").equals("llmc"))
                        .filter(row -> List.of("RTN", "GPTQ", "AWQ", "HQQ", "HQQ without optimisation", "AutoRound rtn")
                                .contains(row.path("method").asString()))
                        .map(row -> row.path("id").asString());
    }

    /** Broken models, whose loss is good for an order alone. */
    private static boolean isBroken(String id) {
        return id.contains("_w2_") || id.contains("_w2a16");
    }

    @ParameterizedTest
    @ValueSource(strings = {"stories_gptqmodel_w3_g32_asym", "stories_hqq_w3_g64", "stories_ar_rtn_w3_ch_asym"})
    void aFewLossesAreThoseOfTheTools(String id) throws IOException {
        compare(id);
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void lossesAreThoseOfTheTools(String id) throws IOException {
        compare(id);
    }

    /**
     * AutoRound's order of samples and its minibatch noise decide where training ends, so its losses are a bar: at most
     * 0.02 more, and far from plain rounding to the same integers.
     */
    @ParameterizedTest
    @CsvSource({
        "stories_ar_w4_ch_sym_i50, 1.529919",
        "stories_ar_w3_ch_asym_i50, 2.392682",
        "stories_ar_w4_ch_sym_i200, 1.529919",
        "stories_ar_w3_ch_asym_i200, 2.392682",
        "stories_ar_w3_g32_asym_i200, 1.971493"
    })
    @Tag("slow")
    void autoRoundLearnsAsMuchAsTheTool(String id, double plain) throws IOException {
        double loss = loss(id);
        double bar = row(id).path("loss").asDouble() + 0.02;
        assertThat(loss).as(id).isLessThan(bar).isLessThan(plain - 0.03);
    }

    /** Of two bits only the order is good: after plain rounding and GPTQ in groups of 32. */
    @Test
    @Tag("slow")
    void autoRoundLeadsAtTwoBits() throws IOException {
        double gptq = row("stories_gptqmodel_w2_g32_asym").path("loss").asDouble();
        assertThat(loss("stories_ar_w2_g32_asym_i200")).isLessThan(gptq - 1);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "stories_gptqmodel_w4_ch_asym",
                "stories_gptqmodel_w4_g32_sym",
                "stories_llmc_gptq_w3_g32m_asym_static",
                "stories_llmc_gptq_w4_ch_asym_none",
                "stories_llmc_awq_w4_ch_asym"
            })
    @Tag("slow")
    void codesAreThoseOfTheTools(String id) throws IOException {
        compare(id);
        String file = "golden/oneshot_codes_" + id + ".safetensors";
        int bits = id.contains("_w3_") ? 3 : 4;
        // those of compressed-tensors begin below zero, and the file counts from zero
        boolean isSigned = id.contains("_llmc_") || id.contains("_sym");
        long equal = 0;
        long all = 0;
        try (Safetensors expected = Safetensors.open(Shared.find(file).orElseThrow())) {
            for (int block = 0; block < 5; block++) {
                try (Safetensors found = Safetensors.open(
                        folder.resolve("results/tag/approximate/weights/block-" + block + ".safetensors"))) {
                    String prefix = "model.layers." + block + ".";
                    for (String name : expected.entries().keySet()) {
                        if (!name.startsWith(prefix) || !name.endsWith(".codes")) {
                            continue;
                        }
                        int[] right = bytes(expected.raw(name));
                        String own = name.substring(prefix.length());
                        // weights that AWQ leaves alone are rounded when they are read, and not stored
                        RawTensor packed =
                                id.contains("_awq_") && !found.entries().containsKey(own)
                                        ? rounded(id, name.replace(".codes", ".weight"))
                                        : found.raw(own);
                        long rows = packed.shape().get(0);
                        int[] codes = unpacked(bytes(packed), (int) rows, right.length / (int) rows, bits);
                        for (int i = 0; i < codes.length; i++) {
                            int fromZero = isSigned ? codes[i] ^ 1 << (bits - 1) : codes[i];
                            equal += fromZero == right[i] ? 1 : 0;
                        }
                        all += codes.length;
                    }
                }
            }
        }
        assertThat(all).isEqualTo(226_560);
        assertThat((double) equal / all).isGreaterThan(0.999);
        if (id.contains("_awq_")) {
            requireFactors(file);
        }
    }

    /** The codes of a weight of the model, rounded to nearest. */
    private static RawTensor rounded(String id, String weight) throws IOException {
        JsonNode row = row(id);
        NumberFormat format =
                Formats.parse(weight(row.path("settings"), id.contains("_llmc_"), false), "test", Formats.Use.WEIGHT);
        Path model = Shared.find("models/stories260k/model.safetensors").orElseThrow();
        try (NDManager manager = TensorEngine.newManager();
                Safetensors tensors = Safetensors.open(model)) {
            Grid grid =
                    format.fit(tensors.load(manager, weight), Operand.WEIGHT).orElseThrow();
            return Objects.requireNonNull(grid.parts().get("codes"));
        }
    }

    private void requireFactors(String file) throws IOException {
        Map<String, String> mappings =
                Map.of("input_layernorm", "attn_in", "post_attention_layernorm", "mlp_in", "mlp.up_proj", "mlp_mid");
        try (Safetensors expected = Safetensors.open(Shared.find(file).orElseThrow())) {
            for (int block = 0; block < 5; block++) {
                try (Safetensors found = Safetensors.open(
                        folder.resolve("results/tag/approximate/parameters/block-" + block + ".safetensors"))) {
                    for (Map.Entry<String, String> mapping : mappings.entrySet()) {
                        float[] right = expected.floats("awq_scale.model.layers." + block + "." + mapping.getKey());
                        String name = "awq." + mapping.getValue() + ".scale";
                        // of factors of 1 nothing is kept
                        float[] own = new float[right.length];
                        Arrays.fill(own, 1);
                        if (found.entries().containsKey(name)) {
                            own = found.floats(name);
                        }
                        for (int i = 0; i < own.length; i++) {
                            assertThat(own[i]).isCloseTo(right[i], withinPercentage(1e-3));
                        }
                    }
                }
            }
        }
    }

    private static int[] bytes(RawTensor tensor) {
        ByteBuffer bytes = tensor.bytes();
        int[] values = new int[bytes.remaining()];
        for (int i = 0; i < values.length; i++) {
            values[i] = bytes.get(i) & 0xff;
        }
        return values;
    }

    /** Codes from 0, the first in the lowest bits; rows begin at a byte. */
    private static int[] unpacked(int[] bytes, int rows, int columns, int bits) {
        int[] codes = new int[rows * columns];
        int rowBytes = (columns * bits + 7) / 8;
        for (int i = 0; i < codes.length; i++) {
            for (int bit = 0; bit < bits; bit++) {
                int at = i % columns * bits + bit;
                codes[i] |= (bytes[i / columns * rowBytes + at / 8] >> at % 8 & 1) << bit;
            }
        }
        return codes;
    }

    private static JsonNode row(String id) throws IOException {
        return rows().stream()
                .filter(some -> some.path("id").asString().equals(id))
                .findFirst()
                .orElseThrow();
    }

    private double loss(String id) throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        Outcome outcome = tiny.run(config(row(id)), "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return Objects.requireNonNull(tiny.metrics("tag").get("perplexity/t/loss"));
    }

    private void compare(String id) throws IOException {
        JsonNode row = row(id);
        double loss = loss(id);
        double tolerance = isBroken(id) ? 0.3 : id.equals(FLIPPED) ? 5e-3 : ON_THE_EDGE.getOrDefault(id, 1e-5);
        assertThat(loss).as(id).isCloseTo(row.path("loss").asDouble(), within(tolerance));
        if (id.contains("_awq_") && row.has("layer_error")) {
            requireErrors(row);
        }
    }

    /** The errors that the search for factors finds in the first block, which no rounding is in front of. */
    private void requireErrors(JsonNode row) throws IOException {
        boolean isLlmc = row.path("id").asString().contains("_llmc_");
        Map<String, String> mappings = isLlmc
                ? Map.of("input_layernorm", "attn_in", "post_attention_layernorm", "mlp_in", "mlp.up_proj", "mlp_mid")
                : Map.of("self_attn.q_proj", "attn_in", "mlp.gate_proj", "mlp_in", "mlp.down_proj", "mlp_mid");
        List<String> lines = Files.readAllLines(folder.resolve("results/tag/approximate/layers.csv"));
        List<String> header = List.of(lines.get(0).split(",", -1));
        mappings.forEach((module, mapping) -> {
            JsonNode errors = row.path("layer_error").path("model.layers.0." + module);
            String[] cells = lines.stream()
                    .map(line -> line.split(",", -1))
                    .filter(line -> line[0].equals("blocks.0." + mapping))
                    .findFirst()
                    .orElseThrow();
            if (isLlmc) {
                assertThat(Double.parseDouble(cells[header.indexOf("loss_rtn")]))
                        .as("%s, unscaled", mapping)
                        .isCloseTo(errors.get(0).asDouble(), withinPercentage(1e-3));
            }
            // the factors of a group's largest weight decide on its code there
            double percent = row.path("id").asString().equals("stories_llmc_awq_w4_g32m_sym") ? 3 : 1e-2;
            assertThat(Double.parseDouble(cells[header.indexOf("loss_final")]))
                    .as("%s, best", mapping)
                    .isCloseTo(errors.get(isLlmc ? 1 : 0).asDouble(), withinPercentage(percent));
        });
    }

    /** LLMC's rows: its integers per row, whose range need not contain zero. */
    private static String llmc(JsonNode row) {
        JsonNode settings = row.path("settings");
        JsonNode weight = settings.path("weight");
        String toml = CONFIG.formatted(
                Shared.find("models/stories260k").orElseThrow(),
                Shared.find("data/tinystories/calib.txt").orElseThrow(),
                Shared.find("data/tinystories/test.txt").orElseThrow(),
                "{ format = \"int\", bits = %d, symmetric = %s, include_zero = false }"
                        .formatted(
                                weight.path("bit").asInt(),
                                weight.path("symmetric").asBoolean()));
        JsonNode special = settings.path("special");
        return toml
                + switch (row.path("method").asString()) {
                    case "GPTQ" ->
                        "[[approximation]]\nmethod = \"gptq\"\npreset = \"gptqmodel\"\ndamping = 0.01\norder = \"%s\"\n"
                                .formatted(row.path("id").asString().contains("actorder") ? "activation" : "none");
                    case "AWQ" ->
                        "[[approximation]]\nmethod = \"awq\"\npreset = \"llmc\"\n"
                                + (special.path("weight_clip").asBoolean() ? "clip_tokens = 256\n" : "clip = false\n");
                    default -> "";
                };
    }

    private static String config(JsonNode row) {
        if (row.path("repo").asString("").equals("llmc")) {
            return llmc(row);
        }
        JsonNode settings = row.path("settings");
        if (row.path("method").asString().startsWith("HQQ")) {
            return CONFIG.formatted(
                    Shared.find("models/stories260k").orElseThrow(),
                    Shared.find("data/tinystories/calib.txt").orElseThrow(),
                    Shared.find("data/tinystories/test.txt").orElseThrow(),
                    hqq(settings));
        }
        boolean isAutoRound = row.path("method").asString().startsWith("AutoRound");
        boolean isLlmc = row.path("id").asString().contains("_llmc_");
        String groups = settings.path("group_size").asString();
        StringBuilder toml = new StringBuilder(CONFIG.formatted(
                Shared.find("models/stories260k").orElseThrow(),
                Shared.find("data/tinystories/calib.txt").orElseThrow(),
                Shared.find("data/tinystories/test.txt").orElseThrow(),
                weight(settings, isLlmc, groups.startsWith("32"))));
        if (groups.contains("down_proj")) {
            toml.append("[[quantization.override]]\npattern = '.*down_proj.*'\nweight = ")
                    .append(weight(settings, isLlmc, false))
                    .append('\n');
        }
        if (isAutoRound) {
            toml.append("[[approximation]]\nmethod = \"autoround\"\niterations = %d\nbatch_size = %d\n"
                    .formatted(
                            settings.path("iters").asInt(),
                            settings.path("batch_size").asInt()));
        }
        if (row.path("method").asString().equals("AWQ")) {
            toml.append("[[approximation]]\nmethod = \"awq\"\npreset = \"")
                    .append(isLlmc ? "llm_compressor" : "gptqmodel")
                    .append("\"\n");
        }
        if (row.path("method").asString().equals("GPTQ")) {
            toml.append("[[approximation]]\nmethod = \"gptq\"\ndamping = 0.01\n");
            toml.append("preset = \"")
                    .append(isLlmc ? "llm_compressor" : "gptqmodel")
                    .append("\"\n");
            if (isLlmc) {
                boolean isOrdered = settings.path("actorder").asString("").equals("static");
                toml.append("order = \"")
                        .append(isOrdered ? "activation" : "none")
                        .append("\"\n");
            } else {
                String order = settings.path("desc_act").asBoolean()
                        ? "activation"
                        : settings.path("group_aware").asBoolean() ? "group_aware" : "none";
                toml.append("order = \"").append(order).append("\"\n");
                toml.append(settings.path("static_groups").asBoolean() ? "group_parameters = \"static\"\n" : "");
            }
        }
        return toml.toString();
    }

    private static String hqq(JsonNode settings) {
        boolean isGrouped = settings.path("group_size").isNumber();
        return "{ format = \"hqq\", bits = %d, granularity = %s, axis = %d, round_zero = %s, preset = \"%s\"%s }"
                .formatted(
                        settings.path("bits").asInt(),
                        isGrouped
                                ? "\"group\", group_size = "
                                        + settings.path("group_size").asInt()
                                : "\"channel\"",
                        settings.path("axis").asInt(),
                        settings.path("round_zero").asBoolean(),
                        settings.path("solver").asString(),
                        settings.path("optimize").asBoolean() ? "" : ", iterations = 0");
    }

    private static String weight(JsonNode settings, boolean isLlmc, boolean isGrouped) {
        String range = settings.path("observer").asString("").equals("memoryless_mse")
                ? "compressed_tensors_mse"
                : settings.path("mse").asDouble(0) > 0 ? "gptq_mse" : "minmax";
        return "{ format = \"int\", bits = %d, symmetric = %s, grid = \"%s\", range = \"%s\", granularity = %s }"
                .formatted(
                        settings.path("bits").asInt(),
                        settings.path("symmetric").asBoolean(),
                        grid(settings, isLlmc),
                        range,
                        isGrouped ? "\"group\", group_size = 32" : "\"channel\"");
    }

    private static String grid(JsonNode settings, boolean isLlmc) {
        if (settings.has("iters")) {
            return "full_range";
        }
        // GPTQModel has another grid for AWQ
        return isLlmc ? "compressed_tensors" : settings.has("clip") ? "narrow" : "gptq";
    }
}
