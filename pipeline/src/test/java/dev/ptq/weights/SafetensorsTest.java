package dev.ptq.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ReadOnlyBufferException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
    private final NDManager manager = TensorEngine.newManager();

    @TempDir
    private Path folder;

    @AfterEach
    void closeManager() {
        manager.close();
    }

    @Test
    void readsBackWhatWasWritten() throws IOException {
        // more than one tile of the writer, and of the reader
        float[] large = new float[200_003];
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < large.length; i++) {
            large[i] = Float.intBitsToFloat(random.nextInt());
        }
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        tensors.put("large", NativeFloats.of(manager, large, large.length));
        tensors.put("scalar", NativeFloats.of(manager, new float[] {-0f}));
        tensors.put("empty", NativeFloats.of(manager, new float[0], 0, 3));
        tensors.put("name with \"quotes\" and ü", NativeFloats.of(manager, new float[] {1, 2, 3, 4, 5, 6}, 1, 3, 2));
        Path file = folder.resolve("t.safetensors");
        SafetensorsWriter.write(file, tensors, Map.of("key", "välue"));

        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.entries().keySet()).containsExactlyElementsOf(tensors.keySet());
            assertThat(read.metadata()).containsExactly(Map.entry("key", "välue"));
            for (Map.Entry<String, NDArray> tensor : tensors.entrySet()) {
                NDArray loaded = read.load(manager, tensor.getKey());
                assertThat(loaded.getShape()).isEqualTo(tensor.getValue().getShape());
                assertThat(bits(read.floats(tensor.getKey()))).isEqualTo(bits(loaded.toFloatArray()));
            }
            // NaNs keep their sign and payload
            assertThat(bits(read.floats("large"))).isEqualTo(bits(large));
            assertThat(read.floats("scalar")).containsExactly(-0f);
            assertThat(read.floats("empty")).isEmpty();
        }
    }

    @Test
    void writesATransposedTensorInItsOrder() throws IOException {
        NDArray transposed =
                NativeFloats.of(manager, new float[] {1, 2, 3, 4, 5, 6}, 2, 3).transpose();
        Path file = folder.resolve("t.safetensors");
        SafetensorsWriter.write(file, Map.of("t", transposed), Map.of());
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.floats("t")).containsExactly(1, 4, 2, 5, 3, 6);
        }
    }

    @Test
    void writesFloat32AsItIs() throws IOException {
        Path file = folder.resolve("t.safetensors");
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        tensors.put("b", NativeFloats.of(manager, new float[] {1, -2.5f, Float.NaN}, 3, 1));
        tensors.put("a", NativeFloats.of(manager, new float[] {3}));
        SafetensorsWriter.write(file, tensors, Map.of("format", "pt"));
        String header = "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]}}";
        ByteBuffer data = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        data.putFloat(1).putFloat(-2.5f).putFloat(Float.NaN).putFloat(3);
        byte[] expected = whole(header + " ".repeat(-header.length() & 7), data.array());
        assertThat(file).hasBinaryContent(expected);
        SafetensorsWriter.write(file, tensors, StoredType.F32, Map.of("format", "pt"));
        assertThat(file).hasBinaryContent(expected);
    }

    @Test
    void readsBackWhatIsExactInBfloat16() throws IOException {
        // more than one tile of the writer
        float[] values = new float[100_003];
        SplittableRandom random = new SplittableRandom(2);
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.intBitsToFloat(random.nextInt() << 16);
        }
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        tensors.put("odd", NativeFloats.of(manager, new float[] {1, 2, 3}, 3));
        tensors.put("empty", NativeFloats.of(manager, new float[0], 0, 3));
        tensors.put("large", NativeFloats.of(manager, values, values.length));
        tensors.put(
                "transposed",
                NativeFloats.of(manager, new float[] {1, 2, 3, 4, 5, 6}, 2, 3).transpose());
        Path file = folder.resolve("t.safetensors");
        SafetensorsWriter.write(file, tensors, StoredType.BF16, Map.of("format", "pt"));
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.metadata()).containsExactly(Map.entry("format", "pt"));
            assertThat(read.entries().values()).allMatch(entry -> entry.type().equals("BF16"));
            assertThat(read.shape("transposed")).containsExactly(3L, 2L);
            assertThat(read.floats("odd")).containsExactly(1, 2, 3);
            assertThat(read.floats("empty")).isEmpty();
            assertThat(read.floats("transposed")).containsExactly(1, 4, 2, 5, 3, 6);
            float[] back = read.floats("large");
            for (int i = 0; i < values.length; i++) {
                if (Float.isNaN(values[i])) {
                    assertThat(back[i]).isNaN();
                } else {
                    assertThat(Float.floatToRawIntBits(back[i])).isEqualTo(Float.floatToRawIntBits(values[i]));
                }
            }
        }
    }

    /** At, just beside and between any two neighbours, and anywhere. */
    @Test
    void roundsToTheNearestBfloat16() {
        double[] magnitudes = bfloat16Magnitudes();
        SplittableRandom random = new SplittableRandom(3);
        for (int upper = 0; upper < 1 << 16; upper++) {
            for (int lower : new int[] {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, random.nextInt(1 << 16)}) {
                float value = Float.intBitsToFloat(upper << 16 | lower);
                int rounded = StoredType.floatToBfloat16(value) & 0xffff;
                if (Float.isNaN(value)) {
                    assertThat(Float.intBitsToFloat(rounded << 16)).isNaN();
                    assertThat(rounded >> 15).isEqualTo(upper >> 15);
                } else if (rounded != nearestBfloat16(value, magnitudes)) {
                    assertThat(Integer.toHexString(rounded))
                            .as("%s, %s", value, Integer.toHexString(Float.floatToRawIntBits(value)))
                            .isEqualTo(Integer.toHexString(nearestBfloat16(value, magnitudes)));
                }
            }
        }
    }

    /**
     * The magnitudes in the order of their codes: eight bits of exponent with bias 127, seven of mantissa. The last, of
     * infinity, is where the next one would be, which is how IEEE 754 rounds to it.
     */
    private static double[] bfloat16Magnitudes() {
        double[] magnitudes = new double[(255 << 7) + 1];
        for (int code = 0; code < magnitudes.length; code++) {
            int exponent = code >> 7;
            double fraction = (code & 127) / 128.0;
            magnitudes[code] =
                    exponent == 0 ? fraction * Math.pow(2, -126) : (1 + fraction) * Math.pow(2, exponent - 127);
        }
        return magnitudes;
    }

    /** The code of the nearest; of two equally near the even one. Differences of neighbours are exact in double. */
    private static int nearestBfloat16(float value, double[] magnitudes) {
        double magnitude = Math.min(Math.abs((double) value), magnitudes[magnitudes.length - 1]);
        int found = Arrays.binarySearch(magnitudes, magnitude);
        int code = found;
        if (found < 0) {
            int above = -found - 1;
            double up = magnitudes[above] - magnitude;
            double down = magnitude - magnitudes[above - 1];
            code = up < down || (up == down && above % 2 == 0) ? above : above - 1;
        }
        return Math.copySign(1f, value) < 0 ? code | 0x8000 : code;
    }

    @ParameterizedTest
    @ValueSource(strings = {"F16", "I32", "U8", "I64"})
    void refusesToWriteOtherTypes(String type) throws IOException {
        Map<String, NDArray> tensors = Map.of("x", NativeFloats.of(manager, new float[] {7}, 1));
        assertThatThrownBy(() -> SafetensorsWriter.write(
                        folder.resolve("t.safetensors"), tensors, StoredType.valueOf(type), Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("expected a type to write, F32 or BF16, got " + type);
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void readsEveryHalf() throws IOException {
        short[] all = new short[1 << 16];
        for (int i = 0; i < all.length; i++) {
            all[i] = (short) i;
        }
        Path file = write(header("x", "F16", "[256,256]", 0, 1 << 17), bytes(all));
        try (Safetensors read = Safetensors.open(file)) {
            float[] values = read.floats("x");
            for (int i = 0; i < all.length; i++) {
                Double expected = half(i);
                // equal zeros are told apart by their sign
                assertThat((Object) (double) values[i])
                        .as("half %s", Integer.toHexString(i))
                        .isEqualTo(expected);
                assertThat(Math.copySign(1f, values[i])).isEqualTo(i < 0x8000 ? 1f : -1f);
            }
        }
    }

    /** IEEE 754: sign, five bits of exponent with bias 15, ten of mantissa. */
    private static double half(int bits) {
        int exponent = (bits >> 10) & 31;
        double fraction = (bits & 1023) / 1024.0;
        double sign = bits >> 15 == 0 ? 1 : -1;
        if (exponent == 31) {
            return fraction == 0 ? sign / 0.0 : Double.NaN;
        }
        return sign * (exponent == 0 ? fraction * Math.pow(2, -14) : (1 + fraction) * Math.pow(2, exponent - 15));
    }

    @Test
    void readsEveryBfloat16() throws IOException {
        short[] all = new short[1 << 16];
        for (int i = 0; i < all.length; i++) {
            all[i] = (short) i;
        }
        Path file = write(header("x", "BF16", "[65536]", 0, 1 << 17), bytes(all));
        try (Safetensors read = Safetensors.open(file)) {
            float[] values = read.floats("x");
            float[] loaded = read.load(manager, "x").toFloatArray();
            for (int i = 0; i < all.length; i++) {
                // the upper half of a float32
                int expected = i << 16;
                assertThat(Float.floatToRawIntBits(values[i])).isEqualTo(expected);
                assertThat(Float.floatToRawIntBits(loaded[i])).isEqualTo(expected);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "F16", "BF16"})
    void loadsRowsAndGathersThem(String type) throws IOException {
        // small whole numbers are exact in every type
        float[] values = new float[7 * 5];
        ByteBuffer data = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
            switch (type) {
                case "F32" -> data.putFloat(i);
                case "BF16" -> data.putShort((short) (Float.floatToRawIntBits(i) >>> 16));
                default ->
                    data.putShort(
                            i == 0
                                    ? 0
                                    : (short) (((Math.getExponent(i) + 15) << 10)
                                            | (int) ((i / Math.scalb(1f, Math.getExponent(i)) - 1) * 1024)));
            }
        }
        byte[] bytes = new byte[data.position()];
        data.flip().get(bytes);
        // something before the matrix, so that its offset counts
        byte[] all = new byte[bytes.length + 4];
        System.arraycopy(bytes, 0, all, 4, bytes.length);
        Path file = write(
                "{\"a\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}, \"m\":{\"dtype\":\"" + type
                        + "\",\"shape\":[7,5],\"data_offsets\":[4," + all.length + "]}}",
                all);
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.floats("m")).containsExactly(values);
            assertThat(read.ints("a")).containsExactly(0);
            NDArray rows = read.loadRows(manager, "m", 2, 4);
            assertThat(rows.getShape()).isEqualTo(new Shape(2, 5));
            assertThat(rows.toFloatArray()).containsExactly(10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
            assertThat(read.loadRows(manager, "m", 6, 7).toFloatArray()).containsExactly(30, 31, 32, 33, 34);
            NDArray gathered = read.gatherRows(manager, "m", new int[] {6, 0, 6});
            assertThat(gathered.getShape()).isEqualTo(new Shape(3, 5));
            assertThat(gathered.toFloatArray()).containsExactly(30, 31, 32, 33, 34, 0, 1, 2, 3, 4, 30, 31, 32, 33, 34);
            for (int row : new int[] {-1, 7, Integer.MAX_VALUE}) {
                assertThatThrownBy(() -> read.gatherRows(manager, "m", new int[] {0, row}))
                        .isInstanceOf(IOException.class)
                        .hasMessageContainingAll(file.toString(), "m", Integer.toString(row));
            }
            assertThatThrownBy(() -> read.loadRows(manager, "m", 5, 8)).hasMessageContainingAll("m", "[7, 5]");
            assertThatThrownBy(() -> read.loadRows(manager, "a", 0, 1))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll(file.toString(), "a", "expected a matrix");
            assertThatThrownBy(() -> read.load(manager, "missing"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll(file.toString(), "missing");
            assertThatThrownBy(() -> read.ints("m"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll(file.toString(), "m", type);
        }
    }

    @Test
    void rawTensorsComeBackBesideOthers() throws IOException {
        Map<String, RawTensor> raw = new LinkedHashMap<>();
        raw.put("bytes", RawTensor.of(new byte[] {-1, 0, 7}, 3, 1));
        raw.put("numbers", RawTensor.ofBytes(new int[] {0, 255}, 2));
        raw.put("ints", RawTensor.of(new int[] {Integer.MIN_VALUE, 258}, 1, 2));
        raw.put("longs", RawTensor.of(new long[] {Long.MAX_VALUE, -1}, 2));
        raw.put("floats", RawTensor.of(new float[] {-0f}));
        raw.put("empty", RawTensor.of(new byte[0], 0, 5));
        NDArray tensor = NativeFloats.of(manager, new float[] {1.5f, Float.NaN, -3}, 3);
        Path file = folder.resolve("t.safetensors");
        SafetensorsWriter.write(file, Map.of("tensor", tensor), raw, Map.of("a", "b"));

        try (Safetensors read = Safetensors.open(file)) {
            // so that each starts at a multiple of its size
            assertThat(read.entries().keySet())
                    .containsExactly("longs", "tensor", "ints", "floats", "bytes", "numbers", "empty");
            assertThat(read.metadata()).containsExactly(Map.entry("a", "b"));
            for (Map.Entry<String, RawTensor> one : raw.entrySet()) {
                assertThat(read.raw(one.getKey())).as(one.getKey()).isEqualTo(one.getValue());
            }
            assertThat(read.raw("ints").bytes().asIntBuffer().get(1)).isEqualTo(258);
            assertThat(read.raw("bytes").type()).isEqualTo(StoredType.U8);
            assertThat(read.ints("ints")).containsExactly(Integer.MIN_VALUE, 258);
            assertThat(read.floats("tensor")).containsExactly(1.5f, Float.NaN, -3);
            assertThat(read.raw("tensor")).isEqualTo(RawTensor.of(new float[] {1.5f, Float.NaN, -3}, 3));
            assertThatThrownBy(() -> read.raw("none"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("none");
        }
    }

    /** Codes among weights are no weights. */
    @Test
    void bytesAndIndicesAreNotReadAsFloat32() throws IOException {
        Path file = folder.resolve("t.safetensors");
        Map<String, RawTensor> raw =
                Map.of("bytes", RawTensor.of(new byte[4], 2, 2), "longs", RawTensor.of(new long[4], 2, 2));
        SafetensorsWriter.write(file, Map.of(), raw, Map.of());
        try (Safetensors read = Safetensors.open(file)) {
            for (String name : raw.keySet()) {
                for (Reading reading : List.<Reading>of(
                        () -> read.load(manager, name),
                        () -> read.floats(name),
                        () -> read.loadRows(manager, name, 0, 1),
                        () -> read.gatherRows(manager, name, new int[1]))) {
                    assertThatThrownBy(reading::run)
                            .isInstanceOf(IOException.class)
                            .hasMessageContainingAll(file.toString(), name, "[F32, F16, BF16, I32]");
                }
            }
        }
    }

    @Test
    void rawTensorsOfUnknownTypesAreRefused() throws IOException {
        try (Safetensors read = Safetensors.open(write(header("x", "Q4", "[1000000,500]", 0, 8), new byte[8]))) {
            assertThatThrownBy(() -> read.raw("x"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll("x", "Q4", "U8, I8, F8_E4M3, I64]");
        }
    }

    @Test
    void rawTensorsHaveTheBytesOfTheirShape() {
        assertThatThrownBy(() -> RawTensor.of(new int[3], 2, 2)).hasMessage("expected 16 bytes for I32 [2, 2], got 12");
        assertThatThrownBy(() -> RawTensor.ofBytes(new int[] {1, 256}, 2))
                .hasMessage("expected numbers from 0 to 255, got 256 at 1");
        byte[] bytes = {1, 2};
        RawTensor tensor = RawTensor.of(bytes, 2);
        assertThatThrownBy(() -> tensor.bytes().put(0, (byte) 3)).isInstanceOf(ReadOnlyBufferException.class);
        // reading one view moves no other
        assertThat(tensor.bytes().get()).isEqualTo((byte) 1);
        assertThat(tensor.bytes().get()).isEqualTo((byte) 1);
    }

    @Test
    void twoTensorsOfOneNameAreRefused() throws IOException {
        Path file = folder.resolve("t.safetensors");
        NDArray tensor = manager.ones(new Shape(1));
        assertThatThrownBy(() -> SafetensorsWriter.write(
                        file, Map.of("x", tensor), Map.of("x", RawTensor.of(new byte[1], 1)), Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("two tensors are named x");
        assertThat(file).doesNotExist();
    }

    @Test
    void namesTheFileThatIsMissing() {
        assertThatThrownBy(() -> Safetensors.open(folder.resolve("none.safetensors")))
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll("none.safetensors", "no such file");
    }

    @Test
    void refusesFilesTooShortForTheirHeader() throws IOException {
        for (int length = 0; length < 10; length++) {
            Path file = folder.resolve("short" + length);
            Files.write(file, new byte[length]);
            assertRefused(file);
        }
        byte[] whole = whole(header("x", "F32", "[2]", 0, 8), new byte[8]);
        for (int length = 0; length < whole.length; length++) {
            Path file = folder.resolve("cut");
            Files.write(file, Arrays.copyOf(whole, length));
            assertRefused(file);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, -1, Long.MIN_VALUE, Long.MAX_VALUE, 200_000_000, 1L << 32, 1000})
    void refusesLyingHeaderLengths(long length) throws IOException {
        byte[] bytes = whole(header("x", "F32", "[2]", 0, 8), new byte[8]);
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
        Path file = folder.resolve("lying");
        Files.write(file, bytes);
        assertRefused(file);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "not json",
                "{\"x\":",
                "[]",
                "null",
                "3",
                "\"text\"",
                "        ",
                "{} {}",
                "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}",
                "{\"\ud800\":{}}",
            })
    void refusesHeadersThatAreNoObject(String header) throws IOException {
        assertRefused(write(header, new byte[8]));
    }

    @Test
    void refusesDeeplyNestedHeaders() throws IOException {
        assertRefused(write("{\"x\":" + "[".repeat(100_000), new byte[8]));
    }

    @Test
    void refusesBytesThatAreNoText() throws IOException {
        ByteBuffer bytes =
                ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).putLong(8);
        bytes.put(new byte[] {'{', '"', (byte) 0xc3, (byte) 0x28, '"', ':', '1', '}'});
        Path file = folder.resolve("bytes");
        Files.write(file, bytes.array());
        assertRefused(file);
    }

    @Test
    void refusesATensorNamedTwice() throws IOException {
        String one = "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
        Path file = write("{\"x\":" + one + ",\"x\":" + one + "}", new byte[8]);
        assertRefused(file, "x");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                // fields that are missing or of another kind
                "{}",
                "null",
                "[]",
                "{\"shape\":[2],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[2]}",
                "{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}",
                "{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[null],\"data_offsets\":[0,8]}",
                // numbers out of range
                "{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}",
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551624]}",
                "{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}",
                // a range of another size than shape and type say
                "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}",
                "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}",
                "{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}",
                "{\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]}",
                "{\"dtype\":\"F32\",\"shape\":[3037000500,3037000500,3037000500],\"data_offsets\":[0,8]}",
            })
    void refusesEntriesThatDoNotAddUp(String entry) throws IOException {
        assertRefused(write("{\"x\":" + entry + "}", new byte[8]), "x");
    }

    @Test
    void refusesOverlappingTensors() throws IOException {
        String header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                + "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}";
        assertRefused(write(header, new byte[12]), "y");
        String reversed = "{\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},"
                + "\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
        assertRefused(write(reversed, new byte[12]), "y");
    }

    @Test
    void takesEntriesInAnyOrderAndEmptyOnes() throws IOException {
        String header = "{\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
                + "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[4,4]},"
                + "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        try (Safetensors read = Safetensors.open(write(header, new byte[8]))) {
            assertThat(read.entries()).containsOnlyKeys("y", "none", "x");
        }
    }

    @Test
    void refusesToReadUnknownTypes() throws IOException {
        Path file = write(header("x", "F8_E4M3", "[8]", 0, 8), new byte[8]);
        try (Safetensors read = Safetensors.open(file)) {
            assertThatThrownBy(() -> read.load(manager, "x"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll(file.toString(), "x", "F8_E4M3", "[F32, F16, BF16, I32]");
            assertThatThrownBy(() -> read.floats("x")).isInstanceOf(IOException.class);
        }
    }

    /** An unknown type says nothing of its size: its shape must not decide how much is allocated. */
    @Test
    void refusesAnUnknownTypeOfHugeShapeBeforeAllocatingIt() throws IOException {
        Path file = write(header("x", "Q4", "[1000000,500]", 0, 8), new byte[8]);
        try (Safetensors read = Safetensors.open(file)) {
            for (Reading reading : List.<Reading>of(
                    () -> read.load(manager, "x"),
                    () -> read.floats("x"),
                    () -> read.loadRows(manager, "x", 0, 1_000_000),
                    () -> read.gatherRows(manager, "x", new int[1_000_000]))) {
                long before = allocated();
                assertThatThrownBy(reading::run)
                        .isInstanceOf(IOException.class)
                        .hasMessageContainingAll(file.toString(), "x", "Q4");
                assertThat(allocated() - before).isLessThan(100_000_000);
            }
            assertThat(manager.getManagedArrays()).isEmpty();
        }
    }

    @FunctionalInterface
    private interface Reading {
        void run() throws IOException;
    }

    /** Bytes of the Java heap that this thread has asked for so far. */
    private static long allocated() {
        return ((com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean())
                .getCurrentThreadAllocatedBytes();
    }

    @Test
    void toleratesMetadataOfOtherKinds() throws IOException {
        for (String metadata : List.of("null", "3", "[]", "{\"a\":{\"b\":1}}", "{\"a\":null}", "{\"a\":7}")) {
            try (Safetensors read = Safetensors.open(write("{\"__metadata__\":" + metadata + "}", new byte[0]))) {
                assertThat(read.entries()).isEmpty();
            }
        }
    }

    @Test
    void joinsFilesAsIfTheirTensorsWereWrittenTogether() throws IOException {
        Map<String, NDArray> first = new LinkedHashMap<>();
        first.put("b", NativeFloats.of(manager, new float[] {1, -0f, Float.NaN}, 3, 1));
        first.put("a", NativeFloats.of(manager, new float[0], 0, 2));
        Map<String, NDArray> second = Map.of("c", NativeFloats.of(manager, new float[] {3}));
        Map<String, NDArray> all = new LinkedHashMap<>(first);
        all.putAll(second);
        List<Path> parts = List.of(folder.resolve("1.safetensors"), folder.resolve("2.safetensors"));
        SafetensorsWriter.write(parts.get(0), first, Map.of("of", "one"));
        SafetensorsWriter.write(parts.get(1), second, Map.of());
        Path together = folder.resolve("together.safetensors");
        SafetensorsWriter.write(together, all, Map.of("of", "both"));
        Path joined = folder.resolve("joined.safetensors");
        SafetensorsWriter.join(joined, parts, Map.of("of", "both"));
        assertThat(joined).hasSameBinaryContentAs(together);

        List<Path> twice = List.of(parts.get(0), parts.get(0));
        assertThatThrownBy(() -> SafetensorsWriter.join(joined, twice, Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("two tensors are named b");
        assertThat(joined).hasSameBinaryContentAs(together);
    }

    @Test
    void aFailedWriteLeavesNoFile() throws IOException {
        Path file = folder.resolve("t.safetensors");
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        tensors.put("good", NativeFloats.of(manager, new float[100], 100));
        tensors.put("bad", manager.create(new Shape(3), DataType.INT64));
        assertThatThrownBy(() -> SafetensorsWriter.write(file, tensors, Map.of()))
                .isInstanceOf(IllegalArgumentException.class);
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void aFailedWriteLeavesTheFileThatWasThere() throws IOException {
        Path file = folder.resolve("t.safetensors");
        SafetensorsWriter.write(file, Map.of("x", NativeFloats.of(manager, new float[] {7}, 1)), Map.of());
        assertThatThrownBy(() -> SafetensorsWriter.write(
                        file, Map.of("bad", manager.create(new Shape(3), DataType.INT64)), Map.of()))
                .isInstanceOf(IllegalArgumentException.class);
        try (Safetensors read = Safetensors.open(file);
                Stream<Path> left = Files.list(folder)) {
            assertThat(read.floats("x")).containsExactly(7);
            assertThat(left).containsExactly(file);
        }
    }

    private static void assertRefused(Path file, String... words) {
        for (String word : words) {
            assertThatThrownBy(() -> Safetensors.open(file).close()).hasMessageContaining(word);
        }
        assertThatThrownBy(() -> Safetensors.open(file).close())
                .isInstanceOf(IOException.class)
                .hasMessageContaining(file.toString());
    }

    private Path write(String header, byte[] data) throws IOException {
        Path file = folder.resolve("t.safetensors");
        Files.write(file, whole(header, data));
        return file;
    }

    private static byte[] whole(String header, byte[] data) {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + text.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length)
                .put(text)
                .put(data)
                .array();
    }

    private static String header(String name, String type, String shape, long from, long to) {
        return "{\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":[" + from + ","
                + to + "]}}";
    }

    private static byte[] bytes(short[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * 2).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asShortBuffer().put(values);
        return bytes.array();
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }
}
