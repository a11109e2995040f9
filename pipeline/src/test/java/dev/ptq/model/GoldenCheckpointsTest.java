package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.layout.StoredCheckpoint;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Checkpoints that the tools themselves packed, against the values and logits that these tools have for them. */
class GoldenCheckpointsTest {
    private static final double LOGITS = 1e-4;

    static List<Path> folders() throws IOException {
        Optional<Path> all = Shared.find("golden/checkpoints");
        if (all.isEmpty()) {
            return List.of(Path.of("absent"));
        }
        try (Stream<Path> folders = Files.list(all.get())) {
            return folders.filter(folder -> Files.exists(folder.resolve("model.safetensors")))
                    .sorted()
                    .toList();
        }
    }

    @ParameterizedTest
    @MethodSource("folders")
    void everyWeightIsWhatTheToolUnpacks(Path folder) throws IOException {
        assumeTrue(Files.exists(folder));
        JsonNode digests = JsonMapper.shared()
                .readTree(Files.readAllBytes(folder.resolveSibling("checkpoints.json")))
                .path(folder.getFileName().toString())
                .path("dequant_sha256");
        assertThat(digests.size()).isPositive();
        try (WeightSource weights = StoredCheckpoint.open(folder).weights();
                NDManager manager = TensorEngine.newManager()) {
            for (Map.Entry<String, JsonNode> digest : digests.properties()) {
                assertThat(weights.weight(digest.getKey()).packing())
                        .as(digest.getKey())
                        .isPresent();
                float[] values = weights.load(manager, digest.getKey()).toFloatArray();
                assertThat(sha256(values))
                        .as(digest.getKey())
                        .isEqualTo(digest.getValue().asString());
            }
        }
        try (WeightSource weights = StoredCheckpoint.open(folder).weights();
                Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"));
                NDManager manager = TensorEngine.newManager()) {
            for (String name : expected.entries().keySet()) {
                if (name.startsWith("dequant.")) {
                    NDArray found = weights.load(manager, name.substring("dequant.".length()));
                    assertSame(name, found.toFloatArray(), expected.floats(name));
                    // rows that need not start where blocks do
                    int rows = Math.toIntExact(found.getShape().get(0));
                    NDArray some =
                            weights.weight(name.substring("dequant.".length())).rows(manager, 3, rows - 1);
                    assertThat(some.contentEquals(found.get("3:" + (rows - 1))))
                            .as(name)
                            .isTrue();
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("folders")
    void logitsAgree(Path folder) throws IOException {
        assumeTrue(Files.exists(folder));
        try (Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"))) {
            double[] off = distances(folder, expected, "logits", QuantizationSettings.none());
            assertThat(off[0]).isLessThan(LOGITS);
        }
    }

    @ParameterizedTest
    @MethodSource("folders")
    void inputsAreRoundedAsTheCheckpointSays(Path folder) throws IOException {
        assumeTrue(Files.exists(folder));
        PackedModel packed = inspect(folder);
        try (Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"));
                NDManager manager = TensorEngine.newManager()) {
            boolean rounds = expected.entries().containsKey("logits_act");
            assertThat(packed.linears().stream()
                            .anyMatch(linear -> linear.input().isPresent()))
                    .isEqualTo(rounds);
            assumeTrue(rounds);
            for (PackedModel.OfLinear linear : packed.linears()) {
                String module = linear.weightName().replace(".weight", "");
                if (expected.entries().containsKey("act_in." + module)) {
                    NumberFormat format = linear.input().orElseThrow();
                    NDArray rounded =
                            format.fakeQuantize(expected.load(manager, "act_in." + module), Operand.ACTIVATION);
                    assertSame(module, rounded.toFloatArray(), expected.floats("act_out." + module));
                }
            }
            JsonNode bounds = JsonMapper.shared()
                    .readTree(Files.readAllBytes(folder.resolveSibling("checkpoints.json")))
                    .path(folder.getFileName().toString());
            QuantizationSettings settings = QuantizationSettings.none().with(packed, Optional.empty());
            double[] off = distances(folder, expected, "logits_act", settings);
            assertThat(off[0])
                    .isLessThanOrEqualTo(2 * bounds.path("act_move_max").asDouble());
            assertThat(off[1])
                    .isLessThanOrEqualTo(2 * bounds.path("act_move_mean").asDouble());
        }
    }

    /** As numbers: the sign of a zero does not count. */
    private static void assertSame(String what, float[] values, float[] right) {
        assertThat(values).as(what).hasSameSizeAs(right);
        for (int i = 0; i < right.length; i++) {
            assertThat(values[i] == right[i])
                    .as("%s at %d: %s, expected %s", what, i, values[i], right[i])
                    .isTrue();
        }
    }

    private static PackedModel inspect(Path folder) throws IOException {
        return LanguageModel.inspect(ModelConfig.read(folder), StoredCheckpoint.open(folder))
                .packed();
    }

    /** Returns the largest and the mean distance of logits, as shares of the largest magnitude. */
    private static double[] distances(Path folder, Safetensors expected, String name, QuantizationSettings settings)
            throws IOException {
        LongBuffer ids = expected.raw("input_ids").bytes().asLongBuffer();
        int tokens = Math.toIntExact(expected.raw("input_ids").shape().get(1));
        int[][] chunks = new int[ids.remaining() / tokens][tokens];
        for (int i = 0; i < ids.remaining(); i++) {
            chunks[i / tokens][i % tokens] = (int) ids.get(i);
        }
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, chunks.length)) {
            ModelFormats formats = ModelFormats.of(settings, model.config());
            BlockChange change = formats::applyTo;
            try (BlockRunner runner = new BlockRunner(model, change, false);
                    Progress progress = Progress.Reporter.none().start("", 1, "")) {
                runner.run(states, ActivationObserver.NONE, progress);
            }
            float[] right = expected.floats(name);
            float[] values = Scoring.logits(model, states, 0).toFloatArray();
            assertThat(values).hasSameSizeAs(right);
            double largest = 0;
            double error = 0;
            double sum = 0;
            for (int i = 0; i < right.length; i++) {
                largest = Math.max(largest, Math.abs(right[i]));
                error = Math.max(error, Math.abs((double) values[i] - right[i]));
                sum += Math.abs((double) values[i] - right[i]);
            }
            return new double[] {error / largest, sum / right.length / largest};
        }
    }

    private static String sha256(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putFloat(value + 0f); // no negative zeros
        }
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
