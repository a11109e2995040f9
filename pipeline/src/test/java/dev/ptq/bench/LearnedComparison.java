package dev.ptq.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.artifact.Metric;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.experiment.Measurements;
import dev.ptq.progress.Progress;
import dev.ptq.run.Manifest;
import dev.ptq.run.Run;
import dev.ptq.stage.Experiment;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs the experiments of {@code golden/learned.json}, results of the methods' original code on a small llama, and prints
 * a table of both: {@code LearnedComparison SHARED RESULTS [PATTERN]}. A row that was run before is not run again.
 */
final class LearnedComparison {
    /** What a perplexity may be above the original's. */
    private static final double SLACK = 0.02;

    private final Path shared;
    private final Path results;
    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    LearnedComparison(Path shared, Path results) {
        this.shared = shared;
        this.results = results;
    }

    public static void main(String[] arguments) throws IOException {
        String pattern = arguments.length > 2 ? arguments[2] : ".*";
        new LearnedComparison(Path.of(arguments[0]), Path.of(arguments[1])).run(pattern);
    }

    /** Runs the rows whose names match, prints the table and returns how many were compared and how many are over. */
    Counts run(String pattern) throws IOException {
        Files.createDirectories(results);
        Path grouped = shared.resolve("models/stories260k");
        Path expanded = expand(grouped, results.resolve("stories260k-mha"));
        JsonNode rows = JsonMapper.shared()
                .readTree(shared.resolve("golden/learned.json"))
                .get("rows");
        out.println("| row | method | original | ptq | over original | bar | | seconds, original | seconds |");
        out.println("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |");
        int compared = 0;
        int missed = 0;
        int left = 0;
        for (JsonNode row : rows) {
            String id = row.get("id").asString();
            if (!id.matches(pattern)) {
                continue;
            }
            Optional<String> toml = Rows.toml(row);
            if (toml.isEmpty()) {
                left++;
                continue;
            }
            boolean heads = row.get("settings").path("model_expanded_to_mha").asBoolean(false);
            Outcome outcome = measure(id, Rows.seed(row.get("settings")), toml.get(), heads ? expanded : grouped);
            double original = row.get("perplexity").asDouble();
            double ratio = outcome.perplexity / original - 1;
            double bar = (1 + SLACK) * Math.exp(Rows.spread(id)) - 1;
            compared++;
            missed += ratio > bar ? 1 : 0;
            out.printf(
                    Locale.ROOT,
                    "| %s | %s | %.4f | %.4f | %+.2f %% | %+.2f %% | %s | %.1f | %.1f |%n",
                    id,
                    row.get("method").asString(),
                    original,
                    outcome.perplexity,
                    100 * ratio,
                    100 * bar,
                    ratio > bar ? "missed" : "",
                    row.get("seconds").asDouble(),
                    outcome.seconds);
        }
        out.printf(
                "%n%d rows compared, %d missed, %d of methods and variants that ptq does not offer.%n",
                compared, missed, left);
        return new Counts(compared, missed);
    }

    /** Of rows: those compared, and those whose perplexity is over the bar. */
    record Counts(int compared, int missed) {}

    /** Of one row: the perplexity, and the seconds of the approximate stage. */
    private record Outcome(double perplexity, double seconds) {}

    private Outcome measure(String id, int seed, String steps, Path model) throws IOException {
        String tag = id.replaceAll("[^A-Za-z0-9._-]", "_");
        Path config = results.resolve(tag + ".toml");
        Files.writeString(config, Rows.frame(shared, model).formatted(seed, steps));
        Experiment experiment = Experiment.read(config, List.of());
        try (ExperimentRun prepared = ExperimentRun.prepare(experiment, results, tag, Progress.Reporter.none())) {
            prepared.check(Optional.empty());
            Run run = prepared.run(Optional.empty(), "comparison", "", (directory, manifest) -> {});
            Measurements measurements = Measurements.of(experiment, run.directory());
            double seconds = JsonMapper.shared()
                    .readTree(run.directory().resolve(Manifest.FILE))
                    .path("stages")
                    .path("approximate")
                    .path("seconds")
                    .asDouble(0);
            return new Outcome(measurements.texts().get(0).metric(Metric.PERPLEXITY), seconds);
        }
    }

    /** The same function with as many key heads as query heads: rows of keys and values repeated. */
    private static Path expand(Path model, Path folder) throws IOException {
        Path weights = folder.resolve("model.safetensors");
        if (Files.exists(weights)) {
            return folder;
        }
        Files.createDirectories(folder);
        Files.copy(model.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
        ObjectNode config = (ObjectNode) JsonMapper.shared().readTree(model.resolve("config.json"));
        int heads = config.get("num_attention_heads").asInt();
        int kvHeads = config.get("num_key_value_heads").asInt();
        int size = config.get("hidden_size").asInt() / heads;
        config.put("num_key_value_heads", heads);
        JsonMapper.shared().writeValue(folder.resolve("config.json"), config);
        try (NDManager manager = TensorEngine.newManager();
                Safetensors file = Safetensors.open(model.resolve("model.safetensors"))) {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            for (String name : file.entries().keySet()) {
                NDArray tensor = file.load(manager, name);
                if (name.endsWith("k_proj.weight") || name.endsWith("v_proj.weight")) {
                    NDList rows = new NDList();
                    for (int head = 0; head < heads; head++) {
                        int kv = head * kvHeads / heads;
                        rows.add(tensor.get(new NDIndex("{}:{}", kv * size, (kv + 1) * size)));
                    }
                    tensor = NDArrays.concat(rows, 0);
                }
                tensors.put(name, tensor);
            }
            SafetensorsWriter.write(weights, tensors, Map.of("format", "pt"));
        }
        return folder;
    }

    /** The rows as experiments. */
    private static final class Rows {
        private Rows() {}

        static String frame(Path shared, Path model) {
            return """
                seed = %%1$s

                [model]
                path = "%s"

                [calibration]
                dataset = "%s"
                num_samples = 32
                sample = "start"
                seq_len = 256
                batch_size = 4

                %%2$s
                [[evaluation.perplexity]]
                name = "tinystories"
                dataset = "%s"
                seq_len = 256
                protocol = "gptq"
                max_samples = 128
                """.formatted(
                    model, shared.resolve("data/tinystories/calib.txt"), shared.resolve("data/tinystories/test.txt"));
        }

        /** The largest difference of losses between seeds or orders of samples that the file shows. */
        static double spread(String id) {
            if (id.startsWith("omni_lwc_")) {
                return 0.023;
            }
            if (id.startsWith("omni_l")) {
                return 0.022;
            }
            if (id.startsWith("affine_w4a4")) {
                return 0.005;
            }
            if (id.startsWith("affine")) {
                return 0.001;
            }
            if (id.startsWith("lrquant") || id.startsWith("flexround")) {
                return 0.002;
            }
            return id.startsWith("lrq_w") ? 0.006 : 0;
        }

        /** Steps and formats; nothing for what is not offered. */
        static Optional<String> toml(JsonNode row) {
            JsonNode settings = row.get("settings");
            return switch (row.get("repo").asString()) {
                case "smoothquant" -> Optional.of(smoothQuant(settings));
                case "OmniQuant" -> Optional.of(omniQuant(settings) + omniFormats(settings));
                case "AffineQuant" -> Optional.of(affineQuant(settings) + omniFormats(settings));
                case "LRQuant", "RLQ" ->
                    row.get("id").asString().matches(".*(tta|lastblockfp)")
                            ? Optional.empty()
                            : Optional.of(lrQuant(settings) + omniFormats(settings));
                case "FlexRound_LRQ" -> Optional.of(flexRound(settings));
                case "QERA" -> Optional.of(qera(settings));
                case "llmc" ->
                    row.get("id").asString().contains("rtn")
                            ? Optional.of(integers(
                                    "weight", settings.get("weight").get("bit").asInt(), "channel", ""))
                            : Optional.empty();
                default -> throw new IllegalArgumentException("no such repository: " + row.get("repo"));
            };
        }

        private static String integers(String what, int bits, String granularity, String more) {
            return "[quantization." + what + "]\nformat = \"int\"\nbits = " + bits + "\ngranularity = \"" + granularity
                    + "\"\nsymmetric = " + more.contains("symmetric") + "\n"
                    + more.replace("symmetric", "") + "\n";
        }

        private static String smoothQuant(JsonNode settings) {
            int bits = settings.get("abits").asInt();
            String token = "{ format = \"int\", bits = " + bits + ", granularity = \"token\", symmetric = true }";
            String steps = settings.get("alpha").isNull()
                    ? ""
                    : "[[approximation]]\nmethod = \"smoothquant\"\nalpha = " + settings.get("alpha") + "\n";
            String outputs = settings.get("quantize_bmm_input").asBoolean()
                    ? "[[quantization.override]]\npattern = '.*\\.[qkv]_proj\\.weight'\noutput = " + token + "\n"
                    : "";
            return steps
                    + integers("weight", settings.get("wbits").asInt(), "channel", "symmetric")
                    + integers("activation", bits, "token", "symmetric")
                    + outputs;
        }

        private static String omniFormats(JsonNode settings) {
            int bits = settings.get("wbits").asInt();
            boolean grouped = !settings.get("group_size").isNull();
            String more = settings.get("symmetric").asBoolean() ? "symmetric" : "include_zero = false";
            String weight = integers(
                    "weight",
                    bits,
                    grouped ? "group" : "channel",
                    more + (grouped ? "\ngroup_size = " + settings.get("group_size") : ""));
            int activation = settings.get("abits").asInt();
            if (activation == 16) {
                return weight;
            }
            String token = "{ format = \"int\", bits = " + activation
                    + ", granularity = \"token\", symmetric = false, include_zero = false }";
            return weight + integers("activation", activation, "token", "include_zero = false")
                    + "[quantization.attention]\nquery = " + token + "\nkey = " + token + "\nvalue = " + token + "\n";
        }

        /** Of the draw of batches, and of the order of samples where a row has another than the file's. */
        static int seed(JsonNode settings) {
            return settings.path("seed")
                    .asInt(settings.path("calibration_order_seed").asInt(0));
        }

        private static String training(JsonNode settings) {
            return "epochs = " + settings.get("epochs") + "\nlet_learning_rate = " + settings.get("let_lr")
                    + "\nlwc_learning_rate = " + settings.get("lwc_lr") + "\naugmented_loss = "
                    + settings.get("aug_loss") + "\nshuffle = "
                    + settings.path("calibration_order_seed").isNumber() + "\nq_k = \""
                    + (settings.get("qk_scales_trained").asBoolean() ? "free" : "exact") + "\"\n";
        }

        private static String omniQuant(JsonNode settings) {
            boolean let = settings.get("let").asBoolean();
            boolean lwc = settings.get("lwc").asBoolean();
            if (!let && !lwc) {
                return "";
            }
            String step = "[[approximation]]\nmethod = \"omniquant\"\n";
            if (let && lwc) {
                return step + "alpha = " + settings.get("alpha") + "\n" + training(settings);
            }
            String counts = "epochs = " + settings.get("epochs") + "\naugmented_loss = " + settings.get("aug_loss")
                    + "\nshuffle = " + settings.path("calibration_order_seed").isNumber() + "\n";
            return let
                    ? step + "lwc = false\nalpha = " + settings.get("alpha") + "\n" + counts
                    : step + "let = false\n" + counts;
        }

        private static String affineQuant(JsonNode settings) {
            return "[[approximation]]\nmethod = \"affinequant\"\nalpha = " + settings.get("alpha")
                    + "\nnorm_matrix = " + settings.get("use_ln_matrix") + "\nq_k_matrix = "
                    + settings.get("use_matrix") + "\nstability_factor = " + settings.get("sf") + "\n"
                    + training(settings);
        }

        private static String lrQuant(JsonNode settings) {
            return "[[approximation]]\nmethod = \"lrquant\"\n" + training(settings);
        }

        private static String flexRound(JsonNode settings) {
            String steps = "";
            if (settings.get("iters").asInt() > 1) {
                steps = "[[approximation]]\nmethod = \"" + settings.get("mode").asString()
                        + "\"\niterations = " + settings.get("iters") + "\nlearning_rate = " + settings.get("lr") + "\n"
                        + (settings.has("rank") ? "rank = " + settings.get("rank") + "\n" : "");
            }
            String range = settings.get("clipping").asBoolean() ? "range = \"mse\"" : "";
            String formats = integers("weight", settings.get("wbits").asInt(), "channel", range);
            return settings.get("abits").asInt() == 16
                    ? steps + formats
                    : steps + formats + integers("activation", 8, "token", "")
                            + "[[quantization.override]]\npattern = '.*\\.[kv]_proj\\.weight'\noutput = { format ="
                            + " \"int\", bits = 8, granularity = \"token\", symmetric = false }\n";
        }

        private static String qera(JsonNode settings) {
            String method = switch (settings.get("metric").asString()) {
                case "none" -> "";
                case "identity" -> "lqer";
                case "lqer" -> "l2qer";
                case "diag" -> "qera_approx";
                default -> "qera_exact";
            };
            String step = method.isEmpty()
                    ? ""
                    : "[[approximation]]\nmethod = \"" + method + "\"\nrank = " + settings.get("rank")
                            + "\nfactor = { format = \"none\" }\n";
            return step + "[quantization.weight]\nformat = \"mxint\"\nbits = " + settings.get("width")
                    + "\nblock_size = [1, 16]\nexponent_rounding = \"floor\"\n";
        }
    }
}
