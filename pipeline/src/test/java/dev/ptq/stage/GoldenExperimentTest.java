package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.data.Chunks;
import dev.ptq.data.TextFile;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.Block;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.LowRankFormats;
import dev.ptq.model.ResumeState;
import dev.ptq.model.Rounding;
import dev.ptq.progress.Progress;
import dev.ptq.run.Plan;
import dev.ptq.run.Provenance;
import dev.ptq.run.Runs;
import dev.ptq.tensor.Shared;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Whole experiments on a trained llama against LQER's own program: tokens, statistics, and every loss. */
class GoldenExperimentTest {
    private static final int SEQ_LEN = 256;
    private static final int BATCH = 4;

    /** Runs share it, so that each is calibrated and measured in full precision once. */
    @TempDir
    static Path folder;

    @BeforeAll
    static void needsTheReference() {
        assumeTrue(Shared.find("golden/e2e.json").isPresent()
                && Shared.find("models/stories260k").isPresent());
    }

    static List<String> runs() throws IOException {
        List<String> names = new ArrayList<>();
        if (Shared.find("golden/e2e.json").isPresent()) {
            reference().get("runs").forEach(run -> names.add(run.get("name").asString()));
        } else {
            names.add("fp32"); // skipped, but a parameterized test wants an argument
        }
        return names;
    }

    @ParameterizedTest
    @MethodSource("runs")
    @Tag("slow")
    void givesTheReferenceLosses(String name) throws IOException {
        assertReferenceLosses(name);
    }

    /** Rounded alone, with factors of either kind at few bits and at two, and in weights alone. */
    @ParameterizedTest
    @ValueSource(strings = {"W4A8", "W3A8_lqer-svd_r16", "W2A8_lqer-act_r16", "W4A16_g32_lqer-act_r16"})
    void givesAFewOfTheReferenceLosses(String name) throws IOException {
        assertReferenceLosses(name);
    }

    /**
     * What differs between two right programs is the order of float32 sums and the last bit of exponentials. Most batches
     * then agree to 1e-6; now and then a value lies on a rounding boundary and goes to the other side, which moves a
     * batch by up to 1e-3. Batch 2 of wikitext at W4A8 is off by 1.3e-3: there a third program, in numpy, is off by 1.5e-3
     * the other way. Factors of another SVD, rounded, differ in three entries
     * of ten thousand. At two bits the model is broken and multiplies what differences there are.
     */
    private static void assertReferenceLosses(String name) throws IOException {
        JsonNode run = run(name);
        boolean broken = run.get("w_quantizer").path("width").asInt(32) == 2;
        boolean ownRoundedFactors = run.get("low_rank").isObject()
                && !run.get("low_rank")
                        .get("A_quantizer")
                        .get("name")
                        .asString()
                        .equals("passthrough");
        double meanTolerance = broken ? 1e-2 : ownRoundedFactors ? 2e-3 : 1e-4;

        Path directory = execute(name, config(run, 128, 64));

        for (String text : List.of("tinystories", "wikitext2")) {
            Path scores = directory.resolve("evaluate/quantized").resolve(text);
            JsonNode expected = run.get("results").get(text);
            assertThat(json(scores.resolve("scores.json")).get("loss").asDouble())
                    .as("mean loss on %s", text)
                    .isCloseTo(expected.get("loss").asDouble(), within(meanTolerance));
            List<Double> found = batchLosses(scores);
            assertThat(found).hasSize(expected.get("batch_losses").size());
            List<Double> off = new ArrayList<>();
            for (int i = 0; i < found.size(); i++) {
                double difference = Math.abs(
                        found.get(i) - expected.get("batch_losses").get(i).asDouble());
                assertThat(difference).as("batch %d of %s", i, text).isLessThan(broken ? 3e-2 : 2e-2);
                if (difference > 1e-3) {
                    off.add(difference);
                }
            }
            if (!broken && !ownRoundedFactors) {
                boolean unsettled = name.equals("W4A8") && text.equals("wikitext2");
                assertThat(off).as("batches of %s that are off", text).hasSizeLessThanOrEqualTo(unsettled ? 1 : 0);
            }
        }
    }

    /** With the reference's own rounded factors nothing is left of the SVD, and the losses agree as plain ones do. */
    @ParameterizedTest
    @ValueSource(strings = {"W4A8_lqer-svd_r8", "W4A8_lqer-act_r16"})
    void givesTheReferenceLossesWithItsFactors(String name) throws IOException {
        JsonNode run = run(name);
        Path file = folder.resolve("given-" + name + ".toml");
        Files.writeString(file, config(run, 16, 16));
        Experiment experiment = Experiment.read(file, List.of());
        NumberFormat eightBits = new BlockFloatFormat(8, List.of(1, 16), 8, 127);
        try (LanguageModel model = LanguageModel.open(experiment.model().path());
                Tokenizer tokenizer = Tokenizer.open(experiment.model().path());
                Safetensors factors = Safetensors.open(Shared.golden("e2e_lowrank.safetensors"));
                BlockRunner runner = new BlockRunner(
                        model,
                        block -> {
                            Rounding.quantize(block, experiment.quantization());
                            correct(block, factors, name, eightBits);
                        },
                        true)) {
            for (PerplexitySettings perplexity : experiment.evaluation().perplexities()) {
                int[][] ids = Perplexity.chunks(
                        perplexity,
                        tokenizer,
                        model.config().positions().count(),
                        model.config().vocabulary().size());
                List<Perplexity.ChunkLoss> chunks = Perplexity.evaluate(
                                new Perplexity.Models(model, runner),
                                perplexity,
                                ids,
                                tokenizer.padId(),
                                ResumeState.none(),
                                Progress.Reporter.none())
                        .chunks();
                List<Double> found = batchLosses(chunks);
                JsonNode expected = run.get("results").get(perplexity.name()).get("batch_losses");
                int close = 0;
                for (int i = 0; i < found.size(); i++) {
                    double difference = Math.abs(found.get(i) - expected.get(i).asDouble());
                    assertThat(difference)
                            .as("batch %d of %s", i, perplexity.name())
                            .isLessThan(1e-3);
                    close += difference < 1e-4 ? 1 : 0;
                }
                assertThat(close).isGreaterThanOrEqualTo(found.size() / 2);
            }
        }
    }

    private static void correct(Block block, Safetensors factors, String run, NumberFormat product) throws IOException {
        for (Linear linear : block.linears()) {
            String name = run + "/" + linear.spec().module();
            linear.correct(new LowRank(
                    factors.load(block.manager(), name + ".A"),
                    factors.load(block.manager(), name + ".B"),
                    new LowRankFormats(product, Optional.of(product), Optional.of(product))));
        }
    }

    @Test
    void cutsTextsIntoTheReferenceTokens() throws IOException {
        JsonNode reference = reference();
        try (Tokenizer tokenizer = Tokenizer.open(model());
                Safetensors tokens = Safetensors.open(Shared.golden("e2e_tokens.safetensors"))) {
            for (String name : List.of("tinystories", "wikitext2", "calibration")) {
                boolean calibration = name.equals("calibration");
                JsonNode facts = calibration
                        ? reference.get("calibration")
                        : reference.get("datasets").get(name);
                TextFile text = new TextFile(
                        shared(facts.get("file").asString()),
                        name.equals("wikitext2") ? TextFile.Layout.WIKITEXT : TextFile.Layout.DOCUMENT,
                        "");
                int[] expected = tokens.ints(name + "/input_ids");
                int[][] chunks = Chunks.oneStream(text.rows(), tokenizer, SEQ_LEN);
                int[] first = Arrays.stream(chunks)
                        .limit(expected.length / SEQ_LEN)
                        .flatMapToInt(Arrays::stream)
                        .toArray();

                assertThat(first).as(name).isEqualTo(expected);
                int[] all = tokenizer.encode(String.join("\n\n", text.rows()));
                assertThat(all)
                        .as(name)
                        .hasSize(facts.get("total_tokens_with_bos").asInt());
                assertThat(sha256(all))
                        .as(name)
                        .isEqualTo(facts.get("sha256_of_all_ids_as_le_int32").asString());
                assertThat(chunks).hasNumberOfRows(all.length / SEQ_LEN);
                if (!calibration) {
                    assertThat(text.rows()).hasSize(facts.get("rows").asInt());
                }
            }
        }
    }

    /** Means of magnitudes over 1024 positions, summed in another order. */
    @Test
    void calibratesToTheReferenceStatistics() throws IOException {
        String config = config(run("W4A8_lqer-act_r16"), 4, 4);
        Path file = folder.resolve("statistics.toml");
        Files.writeString(file, config);
        Path directory = execute("statistics", config);
        Experiment experiment = Experiment.read(file, List.of());
        int compared = 0;
        try (Safetensors found = Safetensors.open(directory.resolve("calibrate/statistics.safetensors"));
                Safetensors expected = Safetensors.open(Shared.golden("e2e_scales.safetensors"))) {
            for (LinearSpec linear : LanguageModel.linears(experiment.shape())) {
                float[] actual = found.floats(
                        "blocks." + linear.block() + "." + linear.hookPoint().label() + ".max_batch_mean_abs");
                float[] reference = expected.floats("raw/" + linear.module() + ".scale");
                assertThat(actual).hasSameSizeAs(reference);
                for (int i = 0; i < actual.length; i++) {
                    assertThat(actual[i])
                            .as("%s %d", linear.module(), i)
                            .isCloseTo(reference[i], within(1e-5f * reference[i]));
                }
                compared++;
            }
        }
        assertThat(compared).isEqualTo(35);
    }

    /** An experiment file for one of the reference's runs. */
    private static String config(JsonNode run, int stories, int articles) throws IOException {
        StringBuilder toml = new StringBuilder();
        toml.append("[model]\npath = '").append(model()).append("'\n");
        JsonNode lowRank = run.get("low_rank");
        if (lowRank.isObject()) {
            boolean weighted = lowRank.get("mode").asString().equals("lqer-act");
            if (weighted) {
                toml.append("[calibration]\ndataset = '")
                        .append(shared("data/tinystories/calib.txt"))
                        .append("'\nnum_samples = 32\nsample = 'start'\nseq_len = 256\nbatch_size = 4\n");
            }
            toml.append("[[approximation]]\nmethod = '")
                    .append(weighted ? "l2qer" : "lqer")
                    .append("'\nrank = ")
                    .append(lowRank.get("rank").asInt())
                    .append("\nfactor = ")
                    .append(format(lowRank.get("A_quantizer")))
                    .append('\n');
            assertThat(lowRank.get("B_quantizer")).isEqualTo(lowRank.get("A_quantizer"));
        }
        if (run.get("w_quantizer").isObject()) {
            toml.append("[quantization]\nweight = ")
                    .append(format(run.get("w_quantizer")))
                    .append("\nactivation = ")
                    .append(format(run.get("x_quantizer")))
                    .append("\nattention = { left = ")
                    .append(format(run.get("matmul_quantizer")))
                    .append(", right = ")
                    .append(format(run.get("matmul_quantizer")))
                    .append(" }\n");
        }
        toml.append("[evaluation]\nbaselines = []\n");
        toml.append(perplexity("tinystories", "document", stories))
                .append(perplexity("wikitext2", "wikitext", articles));
        return toml.toString();
    }

    /** The start of a text is enough for the chunks that are compared, and tokenized sooner. */
    private static String perplexity(String name, String layout, int samples) throws IOException {
        Path start = folder.resolve(name + ".txt");
        if (!Files.exists(start)) {
            List<String> lines = Files.readAllLines(Path.of(shared("data/" + name + "/test.txt")));
            Files.writeString(start, String.join("\n", lines.subList(0, Math.min(lines.size(), 2000))) + "\n");
        }
        return "[[evaluation.perplexity]]\nname = '" + name + "'\ndataset = '" + start + "'\nlayout = '" + layout
                + "'\nseq_len = " + SEQ_LEN + "\nbatch_size = " + BATCH + "\nmax_samples = " + samples + "\n";
    }

    private static String format(JsonNode quantizer) {
        if (quantizer.get("name").asString().equals("passthrough")) {
            return "{ format = 'none' }";
        }
        return "{ format = 'mxint', bits = " + quantizer.get("width").asInt() + ", block_size = "
                + quantizer.get("block_size") + " }";
    }

    private static Path execute(String tag, String toml) throws IOException {
        Path file = folder.resolve(tag + ".toml");
        Files.writeString(file, toml);
        Experiment experiment = Experiment.read(file, List.of());
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.none())) {
            Plan plan = ExperimentPlan.of(workspace);
            Provenance nobody = new Provenance("", "", 1, Map.of());
            return new Runs(folder.resolve("results"))
                    .run(tag, plan, Optional.empty(), nobody, (directory, manifest) -> {})
                    .directory();
        }
    }

    private static List<Double> batchLosses(Path directory) throws IOException {
        return batchLosses(ChunkTable.read(directory));
    }

    private static List<Double> batchLosses(List<Perplexity.ChunkLoss> chunks) {
        List<Double> means = new ArrayList<>();
        for (int i = 0; i < chunks.size(); i += BATCH) {
            means.add(chunks.subList(i, i + BATCH).stream()
                    .mapToDouble(Perplexity.ChunkLoss::mean)
                    .average()
                    .orElseThrow());
        }
        return means;
    }

    private static JsonNode run(String name) throws IOException {
        return StreamSupport.stream(reference().get("runs").spliterator(), false)
                .filter(each -> each.get("name").asString().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static JsonNode reference() throws IOException {
        return json(Shared.golden("e2e.json"));
    }

    private static JsonNode json(Path file) throws IOException {
        return JsonMapper.shared().readTree(Files.readString(file));
    }

    private static Path model() {
        return Path.of(shared("models/stories260k"));
    }

    private static String shared(String name) {
        return Shared.find(name).orElseThrow().toString();
    }

    private static String sha256(int[] ids) {
        ByteBuffer bytes = ByteBuffer.allocate(ids.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(ids);
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
