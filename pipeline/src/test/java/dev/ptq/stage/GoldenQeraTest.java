package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.progress.Progress;
import dev.ptq.run.Provenance;
import dev.ptq.run.Runs;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Low-rank corrections of a trained llama against QERA's own program: the loss of every run. */
class GoldenQeraTest {
    /** Runs share it, so that each statistic is collected once. */
    @TempDir
    static Path folder;

    private static String story = "";

    @BeforeAll
    static void needsTheReference() throws IOException {
        assumeTrue(Shared.find("golden/learned.json").isPresent()
                && Shared.find("models/stories260k").isPresent());
        // enough for the chunks that are compared, and sooner tokenized
        Path start = folder.resolve("start.txt");
        List<String> lines = Files.readAllLines(Path.of(shared("data/tinystories/test.txt")));
        Files.writeString(start, String.join("\n", lines.subList(0, 2000)) + "\n");
        story = start.toString();
    }

    static List<String> runs() throws IOException {
        List<String> ids = new ArrayList<>();
        if (Shared.find("golden/learned.json").isPresent()) {
            for (JsonNode row : rows()) {
                String id = row.get("id").asString();
                if (id.startsWith("qera_")) {
                    ids.add(id);
                }
            }
        } else {
            ids.add("none"); // skipped, but a parameterized test wants an argument
        }
        return ids;
    }

    @Tag("slow")
    @ParameterizedTest
    @MethodSource("runs")
    void givesTheReferenceLoss(String id) throws IOException {
        compare(id);
    }

    /** Each metric once. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "qera_none_w4_b16_r0",
                "qera_identity_w2_b16_r8",
                "qera_lqer_w3_b16_r8",
                "qera_diag_w3_b16_r16",
                "qera_rxx_w3_b16_r16"
            })
    void givesTheReferenceLossInShort(String id) throws IOException {
        compare(id);
    }

    private static void compare(String id) throws IOException {
        JsonNode row = row(id);

        double loss = loss(id, config(row.get("settings")));

        // the reference has six digits
        assertThat(loss).isCloseTo(row.get("loss").asDouble(), within(2e-5));
    }

    private static String config(JsonNode settings) {
        StringBuilder toml = new StringBuilder("[model]\npath = '" + shared("models/stories260k") + "'\n");
        Optional<String> method = method(settings.get("metric").asString());
        if (method.isPresent() && !method.get().equals("lqer")) {
            toml.append("[calibration]\ndataset = '")
                    .append(shared("data/tinystories/calib.txt"))
                    .append("'\nnum_samples = 32\nsample = 'start'\nseq_len = 256\nbatch_size = 4\n");
        }
        method.ifPresent(name -> toml.append("[[approximation]]\nmethod = '")
                .append(name)
                .append("'\nrank = ")
                .append(settings.get("rank").asInt())
                .append("\nfactor = { format = 'none' }\nsingular_values = false\n"));
        toml.append("[quantization.weight]\nformat = 'mxint'\nexponent_rounding = 'floor'\nbits = ")
                .append(settings.get("width").asInt())
                .append("\nblock_size = ")
                .append(settings.get("block"))
                .append("\n[evaluation]\nbaselines = []\n[[evaluation.perplexity]]\nname = 'stories'\ndataset = '")
                .append(story)
                .append("'\nseq_len = 256\nmax_samples = 128\n");
        return toml.toString();
    }

    private static Optional<String> method(String metric) {
        return switch (metric) {
            case "none" -> Optional.empty();
            case "identity" -> Optional.of("lqer");
            case "lqer" -> Optional.of("l2qer");
            case "diag" -> Optional.of("qera_approx");
            case "rxx" -> Optional.of("qera_exact");
            default -> throw new IllegalArgumentException("no metric " + metric);
        };
    }

    private static double loss(String tag, String toml) throws IOException {
        Path file = folder.resolve(tag + ".toml");
        Files.writeString(file, toml);
        try (Workspace workspace = new Workspace(Experiment.read(file, List.of()), Progress.Reporter.none())) {
            Path run = new Runs(folder.resolve("results"))
                    .run(
                            tag,
                            ExperimentPlan.of(workspace),
                            Optional.empty(),
                            new Provenance("", "", 1, Map.of()),
                            (directory, manifest) -> {})
                    .directory();
            Path scores = run.resolve("evaluate/quantized/stories/scores.json");
            return JsonMapper.shared()
                    .readTree(Files.readString(scores))
                    .get("loss")
                    .asDouble();
        }
    }

    private static JsonNode row(String id) throws IOException {
        for (JsonNode row : rows()) {
            if (row.get("id").asString().equals(id)) {
                return row;
            }
        }
        throw new IllegalArgumentException("no row " + id);
    }

    private static JsonNode rows() throws IOException {
        return JsonMapper.shared()
                .readTree(Files.readString(Shared.golden("learned.json")))
                .get("rows");
    }

    private static String shared(String name) {
        return Shared.find(name).orElseThrow().toString();
    }
}
