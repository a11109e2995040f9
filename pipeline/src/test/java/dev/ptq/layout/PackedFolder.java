package dev.ptq.layout;

import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** A model folder with packed tensors made up by a test, bit by bit. */
final class PackedFolder {
    static final String MODULE = "model.layers.0.mlp.up_proj";

    final Path folder;
    final Map<String, RawTensor> tensors = new LinkedHashMap<>();
    private String config = "{}";

    PackedFolder(Path folder) {
        this.folder = folder;
    }

    /** Sets {@code quantization_config}; single quotes stand for double ones. */
    PackedFolder config(String json) {
        config = "{\"quantization_config\": " + json.replace('\'', '"') + "}";
        return this;
    }

    PackedFolder with(String suffix, RawTensor tensor) {
        tensors.put(MODULE + "." + suffix, tensor);
        return this;
    }

    PackedFolder without(String suffix) {
        tensors.remove(MODULE + "." + suffix);
        return this;
    }

    /** Bytes of a type. */
    static RawTensor bytes(StoredType type, int[] values, long... shape) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length);
        for (int value : values) {
            bytes.put((byte) value);
        }
        return new RawTensor(type, Arrays.stream(shape).boxed().toList(), bytes.flip());
    }

    /** Lines of codes as one string of bits each, the lowest bit of a word first. */
    static int[][] dense(int[][] lines, int bits) {
        int[][] words = new int[lines.length][(lines[0].length * bits + 31) / 32];
        for (int line = 0; line < lines.length; line++) {
            for (int bit = 0; bit < lines[line].length * bits; bit++) {
                words[line][bit / 32] |= ((lines[line][bit / bits] >> (bit % bits)) & 1) << (bit % 32);
            }
        }
        return words;
    }

    /** Lines of codes, as many whole ones to a word as fit. */
    static int[][] whole(int[][] lines, int bits) {
        int each = 32 / bits;
        int[][] words = new int[lines.length][(lines[0].length + each - 1) / each];
        for (int line = 0; line < lines.length; line++) {
            for (int i = 0; i < lines[line].length; i++) {
                words[line][i / each] |= lines[line][i] << (i % each * bits);
            }
        }
        return words;
    }

    static int[][] transposed(int[][] matrix) {
        int[][] turned = new int[matrix[0].length][matrix.length];
        for (int i = 0; i < matrix.length; i++) {
            for (int j = 0; j < matrix[0].length; j++) {
                turned[j][i] = matrix[i][j];
            }
        }
        return turned;
    }

    static RawTensor ints(int[][] matrix) {
        int[] flat = Arrays.stream(matrix).flatMapToInt(Arrays::stream).toArray();
        return RawTensor.of(flat, matrix.length, matrix[0].length);
    }

    static RawTensor longs(long... values) {
        return RawTensor.of(values, values.length);
    }

    static RawTensor text(String json) {
        byte[] bytes = json.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
        return RawTensor.of(bytes, bytes.length);
    }

    /** Half precision of numbers that it has exactly, of which the bits of float32 are cut off. */
    static RawTensor bfloat16(float[] values, long... shape) {
        ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
        }
        return new RawTensor(StoredType.BF16, Arrays.stream(shape).boxed().toList(), bytes.flip());
    }

    void write() throws IOException {
        Files.createDirectories(folder);
        Files.writeString(folder.resolve("config.json"), config);
        SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of(), tensors, Map.of());
    }

    StoredCheckpoint open() throws IOException {
        write();
        return StoredCheckpoint.open(folder);
    }

    /** Reads the weight, once whole and once in parts, which must agree. */
    float[] values() throws IOException {
        try (WeightSource weights = open().weights();
                NDManager manager = TensorEngine.newManager()) {
            weights.checkLinear(MODULE + ".weight");
            float[] whole = weights.load(manager, MODULE + ".weight").toFloatArray();
            int rows =
                    Math.toIntExact(weights.weight(MODULE + ".weight").shape().get(0));
            int columns = whole.length / rows;
            for (int from = 0; from < rows; from += 3) {
                int to = Math.min(rows, from + 3);
                float[] part = weights.weight(MODULE + ".weight")
                        .rows(manager, from, to)
                        .toFloatArray();
                if (!Arrays.equals(part, Arrays.copyOfRange(whole, from * columns, to * columns))) {
                    throw new AssertionError("rows " + from + " to " + to + " differ from those of the whole");
                }
            }
            return whole;
        }
    }
}
