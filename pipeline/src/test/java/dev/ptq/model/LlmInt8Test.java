package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.LlmInt8Format;
import dev.ptq.format.LlmInt8Format.Per;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Models whose inputs of linears are rounded as in LLM.int8(). */
class LlmInt8Test {
    private static final NumberFormat NONE = new NoFormat();
    private static final NumberFormat WEIGHT = new IntegerFormat(8, Granularity.CHANNEL, 0, true);

    @TempDir
    private Path folder;

    private static QuantizationSettings settings(NumberFormat weight, NumberFormat activation) {
        return new QuantizationSettings(
                new LinearFormats(weight, activation, NONE), AttentionFormats.none(), List.of());
    }

    /** The states behind the last block of a model. */
    private static float[] states(LanguageModel model, int[][] chunks, int batchSize, QuantizationSettings settings)
            throws IOException {
        try (HiddenStates states = model.embed(chunks, batchSize);
                BlockRunner runner = new BlockRunner(model, block -> Rounding.quantize(block, settings), false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            float[] all = new float[0];
            for (int i = 0; i < states.size(); i++) {
                float[] batch = states.batch(i).toFloatArray();
                all = Arrays.copyOf(all, all.length + batch.length);
                System.arraycopy(batch, 0, all, all.length - batch.length, batch.length);
            }
            return all;
        }
    }

    private static int[][] chunks(int count, int tokens, int vocabulary) {
        SplittableRandom random = new SplittableRandom(7);
        int[][] chunks = new int[count][tokens];
        for (int[] chunk : chunks) {
            Arrays.setAll(chunk, i -> random.nextInt(vocabulary));
        }
        return chunks;
    }

    @ParameterizedTest
    @EnumSource(Per.class)
    void withoutOutliersThisIsW8A8AndWithNothingElseFullPrecision(Per per) throws IOException {
        SyntheticModel.llama().write(folder);
        int[][] chunks = chunks(3, 9, 30);
        try (LanguageModel model = LanguageModel.open(folder)) {
            NumberFormat integers = new IntegerFormat(8, Granularity.TOKEN, 0, true);
            NumberFormat noOutliers = new LlmInt8Format(8, 1e30, per);
            NumberFormat allOutliers = new LlmInt8Format(8, 0, per);
            float[] full = states(model, chunks, 3, QuantizationSettings.none());
            float[] weights = states(model, chunks, 3, settings(WEIGHT, NONE));
            float[] both = states(model, chunks, 3, settings(WEIGHT, integers));
            assertThat(states(model, chunks, 3, settings(WEIGHT, noOutliers))).containsExactly(both);
            assertThat(states(model, chunks, 3, settings(WEIGHT, allOutliers))).containsExactly(weights);
            assertThat(states(model, chunks, 3, settings(NONE, allOutliers))).containsExactly(full);
            assertThat(both).isNotEqualTo(weights);
            assertThat(weights).isNotEqualTo(full);
        }
    }

    /** There are enough values for several pieces. */
    @Test
    void aBatchIsNotCutWhereItsSequencesDependOnEachOther() throws IOException {
        SyntheticModel.llama().sizes(64, 96).layers(1).positions(64).write(folder);
        int[][] chunks = chunks(40, 64, 30);
        assertThat(BlockPass.pieceValues(40, 64, 64, false)).isLessThan(40 * 64 * 64);
        assertThat(BlockPass.pieceValues(40, 64, 64, true)).isEqualTo(40 * 64 * 64);
        // what is rounded is what decides: inputs of blocks have about one outlier in a hundred tokens
        double threshold = 3.5;
        try (LanguageModel model = LanguageModel.open(folder)) {
            QuantizationSettings ofBatch = settings(NONE, new LlmInt8Format(3, threshold, Per.BATCH));
            QuantizationSettings ofSequence = settings(NONE, new LlmInt8Format(3, threshold, Per.SEQUENCE));
            float[] found = states(model, chunks, 40, ofBatch);
            try (HiddenStates states = model.embed(chunks, 40);
                    Block block = model.load(0);
                    BlockPass pass = new BlockPass(model)) {
                Rounding.quantize(block, ofBatch);
                assertThat(found)
                        .isEqualTo(pass.forward(block, states.batch(0), ActivationObserver.NONE)
                                .toFloatArray());
            }
            float[] apart = states(model, chunks, 40, ofSequence);
            assertThat(found).isNotEqualTo(apart);
            assertThat(states(model, chunks, 1, ofBatch)).isEqualTo(states(model, chunks, 1, ofSequence));
            assertThat(states(model, chunks, 20, ofBatch)).isNotEqualTo(found);
        }
    }

    /**
     * A checkpoint of bitsandbytes: its weights as they are decoded, and inputs rounded over a batch. Roundings flip where an
     * input moves by a last bit; the reference says how far logits then move, and twice that is allowed.
     */
    @Test
    void agreesWithBitsandbytes() throws IOException {
        Optional<Path> golden = Shared.find("golden/checkpoints/bnb-int8");
        assumeTrue(golden.isPresent(), "no shared files");
        decode(golden.get());
        try (Safetensors expected = Safetensors.open(golden.get().resolve("expected.safetensors"));
                LanguageModel model = LanguageModel.open(folder)) {
            LongBuffer ids = expected.raw("input_ids").bytes().asLongBuffer();
            int[][] chunks = new int[2][32];
            for (int i = 0; i < 64; i++) {
                chunks[i / 32][i % 32] = (int) ids.get(i);
            }
            assertThat(far(logits(model, chunks, QuantizationSettings.none()), expected.floats("logits"))[0])
                    .isLessThan(1e-5);
            float[] right = expected.floats("logits_act");
            double[] ofBatch = far(logits(model, chunks, settings(NONE, new LlmInt8Format(8, 6, Per.BATCH))), right);
            assertThat(ofBatch[0]).isLessThan(2 * 0.018435493);
            assertThat(ofBatch[1]).isLessThan(2 * 0.0013447043);
            // what else could be meant is farther off
            for (LlmInt8Format other :
                    List.of(new LlmInt8Format(8, 6, Per.SEQUENCE), new LlmInt8Format(8, 1e9, Per.BATCH))) {
                assertThat(far(logits(model, chunks, settings(NONE, other)), right)[1])
                        .isGreaterThan(2 * 0.0013447043);
            }
        }
    }

    /** With inputs of linears cast to half precision, as bitsandbytes does, where anything is rounded. */
    private static float[] logits(LanguageModel model, int[][] chunks, QuantizationSettings settings)
            throws IOException {
        ActivationObserver casting = (block, hookPoint, input) -> {
            FloatBuffer values = NativeFloats.writableWindow(input.values());
            for (int i = 0; i < values.capacity() && !settings.isNone(); i++) {
                values.put(i, half(values.get(i)));
            }
        };
        try (HiddenStates states = model.embed(chunks, chunks.length);
                BlockRunner runner = new BlockRunner(model, block -> Rounding.quantize(block, settings), false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, casting, progress);
            return Scoring.logits(model, states, 0).toFloatArray();
        }
    }

    private static float half(float value) {
        float step = (float) Math.pow(2, Math.max(Math.getExponent(value), -14) - 10);
        return (float) Math.rint(value / step) * step;
    }

    /** The largest and the mean distance, as shares of the largest magnitude. */
    private static double[] far(float[] found, float[] expected) {
        double largest = 0;
        double most = 0;
        double sum = 0;
        for (int i = 0; i < found.length; i++) {
            double distance = Math.abs((double) found[i] - expected[i]);
            largest = Math.max(largest, Math.abs(expected[i]));
            most = Math.max(most, distance);
            sum += distance;
        }
        return new double[] {most / largest, sum / found.length / largest};
    }

    /** Writes the model with its weights in float32. */
    private void decode(Path packed) throws IOException {
        ObjectNode config = (ObjectNode) JsonMapper.shared().readTree(Files.readString(packed.resolve("config.json")));
        config.remove("quantization_config");
        Files.writeString(folder.resolve("config.json"), config.toString());
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        Path weights = packed.resolve("model.safetensors");
        // 8-bit integers are no weights that this program reads
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(weights)).order(ByteOrder.LITTLE_ENDIAN);
        int header = (int) bytes.getLong();
        JsonNode places = JsonMapper.shared().readTree(new String(bytes.array(), 8, header, StandardCharsets.UTF_8));
        try (Safetensors file = Safetensors.open(weights);
                NDManager manager = TensorEngine.newManager()) {
            for (String name : file.entries().keySet()) {
                String scales = name.replaceFirst("weight$", "SCB");
                if (name.endsWith(".weight") && file.entries().containsKey(scales)) {
                    int at = 8
                            + header
                            + places.get(name).get("data_offsets").get(0).asInt();
                    int columns = places.get(name).get("shape").get(1).asInt();
                    tensors.put(name, decoded(manager, bytes, at, file.floats(scales), columns));
                } else if (name.endsWith(".weight")) {
                    tensors.put(name, file.load(manager, name));
                }
            }
            SafetensorsWriter.write(folder.resolve("model.safetensors"), tensors, Map.of());
        }
    }

    private static NDArray decoded(NDManager manager, ByteBuffer codes, int at, float[] scales, int columns) {
        float[] values = new float[scales.length * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = codes.get(at + i) * (scales[i / columns] / 127);
        }
        return NativeFloats.of(manager, values, scales.length, columns);
    }
}
