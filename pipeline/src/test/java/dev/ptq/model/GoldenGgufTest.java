package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.data.Tokenizer;
import dev.ptq.gguf.Gguf;
import dev.ptq.gguf.GgufTensor;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** GGUF files that llama.cpp's own tools wrote: values, tokens, and what the models compute. */
class GoldenGgufTest {
    private static Path folder(String name) {
        Optional<Path> folder = Shared.find("golden/checkpoints/" + name);
        assumeTrue(folder.isPresent());
        return folder.get();
    }

    /** The values of a tensor as they lie in the file. */
    private static float[] values(GgufTensor tensor) throws IOException {
        try (FileChannel channel = FileChannel.open(tensor.file())) {
            ByteBuffer bytes = ByteBuffer.allocate((int) tensor.bytes()).order(ByteOrder.LITTLE_ENDIAN);
            assertThat(channel.read(bytes, tensor.offset())).isEqualTo((int) tensor.bytes());
            float[] values = new float[(int) tensor.size()];
            tensor.type().toFloats(bytes, 0, values, 0, values.length);
            return values;
        }
    }

    private static String digest(float[] values) throws NoSuchAlgorithmException {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putFloat(value + 0f);
        }
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
    }

    private static JsonNode facts(Path folder) throws IOException {
        return JsonMapper.shared().readTree(Files.readAllBytes(folder.resolve("facts.json")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"gguf-q8_0", "gguf-q4_0", "gguf-mixed", "gguf-q4_k_m", "gguf-stories260k-q8_0"})
    void everyTensorHasTheReferencesValues(String name) throws IOException, NoSuchAlgorithmException {
        Path folder = folder(name);
        Gguf gguf = Gguf.open(folder.resolve("model.gguf"));
        JsonNode expected = facts(folder).path("tensors");
        assertThat(gguf.tensors()).hasSize(expected.size());
        for (Map.Entry<String, JsonNode> entry : expected.properties()) {
            GgufTensor tensor = Objects.requireNonNull(gguf.tensors().get(entry.getKey()));
            assertThat(tensor.type()).hasToString(entry.getValue().path("type").asString());
            assertThat(digest(values(tensor)))
                    .as(entry.getKey())
                    .isEqualTo(entry.getValue().path("sha256_f32").asString());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gguf-q8_0", "gguf-q4_0", "gguf-mixed", "gguf-q4_k_m", "gguf-stories260k-q8_0"})
    void weightsHaveTheReferencesValuesAtTheModelsPlaces(String name) throws IOException {
        Path folder = folder(name);
        try (Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"));
                WeightSource weights = WeightSource.open(folder.resolve("model.gguf"));
                NDManager manager = TensorEngine.newManager()) {
            Map<String, String> names = new TreeMap<>();
            Gguf.open(folder.resolve("model.gguf")).places().forEach((own, place) -> {
                names.put("dequant." + own, own);
                if (place.headDim() == 0) {
                    names.put("dequant." + place.tensor().name(), own);
                }
            });
            int compared = 0;
            for (String key : expected.entries().keySet()) {
                if (names.containsKey(key)) {
                    Weight weight = weights.weight(names.get(key));
                    NDArray reference = expected.load(manager, key);
                    int rows = weight.shape().get(0).intValue();
                    assertThat(weight.load(manager).contentEquals(reference))
                            .as(key)
                            .isTrue();
                    assertThat(weight.rows(manager, 3, rows - 5).contentEquals(reference.get("3:-5")))
                            .as(key)
                            .isTrue();
                    assertThat(weight.gather(manager, new int[] {7, 0, rows - 1})
                                    .contentEquals(reference.get(manager.create(new int[] {7, 0, rows - 1}))))
                            .as(key)
                            .isTrue();
                    compared++;
                }
            }
            assertThat(compared).isGreaterThanOrEqualTo(2);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gguf-q8_0", "gguf-q4_0", "gguf-mixed", "gguf-q4_k_m", "gguf-stories260k-q8_0"})
    void logitsAreTheReferences(String name) throws IOException {
        Path folder = folder(name);
        try (Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"));
                LanguageModel model = LanguageModel.open(folder.resolve("model.gguf"))) {
            long tokens = Objects.requireNonNull(expected.entries().get("input_ids"))
                    .shape()
                    .get(1);
            int[] ids = ids(expected);
            int[][] chunks = new int[ids.length / (int) tokens][];
            for (int i = 0; i < chunks.length; i++) {
                chunks[i] = Arrays.copyOfRange(ids, i * (int) tokens, (i + 1) * (int) tokens);
            }
            float[] reference = expected.floats("logits");
            float[] logits = logits(model, chunks);
            assertThat(logits).hasSameSizeAs(reference);
            double largest = 0;
            double off = 0;
            for (int i = 0; i < logits.length; i++) {
                largest = Math.max(largest, Math.abs(reference[i]));
                off = Math.max(off, Math.abs(reference[i] - logits[i]));
            }
            assertThat(off / largest).as("distance").isLessThan(1e-4);
        }
    }

    private static int[] ids(Safetensors expected) throws IOException {
        ByteBuffer raw = expected.raw("input_ids").bytes();
        int bytes = expected.raw("input_ids").type().bytes();
        int[] ids = new int[raw.remaining() / bytes];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = raw.getInt(i * bytes);
        }
        return ids;
    }

    private static float[] logits(LanguageModel model, int[][] chunks) throws IOException {
        try (HiddenStates states = model.embed(chunks, chunks.length)) {
            try (BlockRunner runner = new BlockRunner(model, block -> {}, false);
                    Progress progress = Progress.Reporter.none().start("", 1, "")) {
                runner.run(states, ActivationObserver.NONE, progress);
            }
            return Scoring.logits(model, states, 0).toFloatArray();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gguf-q8_0", "gguf-q4_k_m", "gguf-stories260k-q8_0"})
    void tokensAreThoseOfLlamaCpp(String name) throws IOException {
        Path folder = folder(name);
        try (Tokenizer tokenizer = Tokenizer.open(folder.resolve("model.gguf"))) {
            for (JsonNode text : facts(folder).path("tokenizer")) {
                int[] ids = new int[text.path("ids").size()];
                Arrays.setAll(ids, i -> text.path("ids").path(i).asInt());
                assertThat(tokenizer.encode(text.path("text").asString()))
                        .as(text.path("text").asString())
                        .isEqualTo(ids);
            }
        }
    }
}
