package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Normal floats and integer grids against the packages whose rules they have, every number with {@code ==}. */
class GoldenGridsTest {
    private final NDManager manager = TensorEngine.newManager();
    /** The cases of which a part is not compared, by the part. */
    private final Map<String, List<Integer>> skipped = new LinkedHashMap<>();

    private int compared;

    @AfterEach
    void closeManager() {
        manager.close();
    }

    /** Compares one case. */
    private interface Comparison {
        void run(JsonNode one, GoldenFile file);
    }

    private void forEachCase(String name, Comparison comparison) throws IOException {
        GoldenFile file = GoldenFile.open("formats/" + name);
        List<String> failures = new ArrayList<>();
        for (JsonNode one : file.cases()) {
            try {
                comparison.run(one, file);
            } catch (AssertionError e) {
                failures.add(one + ": " + e.getMessage());
            }
        }
        assertThat(failures).isEmpty();
    }

    private void skip(String reason, JsonNode one) {
        skipped.computeIfAbsent(reason, none -> new ArrayList<>()).add(id(one));
    }

    private static int id(JsonNode one) {
        return one.get("id").asInt();
    }

    private static String named(String part, JsonNode one) {
        return String.format(Locale.ROOT, "%s/%04d", part, id(one));
    }

    private static Shape shape(JsonNode one) {
        JsonNode shape = one.get("shape");
        return new Shape(shape.get(0).asInt(), shape.get(1).asInt());
    }

    /** A part of a case as numbers, if the case has it. */
    private static Optional<float[]> part(GoldenFile file, String part, JsonNode one) {
        return file.numbers(named(part, one));
    }

    private static void assertPart(GoldenFile file, String part, JsonNode one, float[] actual) {
        Optional<float[]> expected = part(file, part, one);
        if (expected.isPresent()) {
            assertSame(part, actual, expected.get());
        }
    }

    private static void assertSame(String what, float[] actual, float[] expected) {
        if (actual.length != expected.length) {
            throw new AssertionError(what + ": " + actual.length + " numbers, expected " + expected.length);
        }
        for (int i = 0; i < actual.length; i++) {
            boolean equal = actual[i] == expected[i] || (Float.isNaN(actual[i]) && Float.isNaN(expected[i]));
            if (!equal) {
                throw new AssertionError(what + " at " + i + ": " + actual[i] + ", expected " + expected[i]);
            }
        }
    }

    private static float[] floats(int... codes) {
        float[] floats = new float[codes.length];
        for (int i = 0; i < codes.length; i++) {
            floats[i] = codes[i];
        }
        return floats;
    }

    private static float[] codes(Grid grid) {
        int[] codes = new int[grid.codes().remaining()];
        grid.codes().get(codes);
        return floats(codes);
    }

    // normal floats

    private static NormalFloatFormat normalFloat(JsonNode one) {
        int bits = one.get("fmt").asString().charAt(2) - '0';
        int block = one.get("block").asInt();
        NormalFloatFormat.Rule rule =
                NormalFloatFormat.Rule.valueOf(one.get("ref").asString().toUpperCase(Locale.ROOT));
        boolean isDouble = one.path("double").asBoolean(false);
        int size = one.path("scaler_block").asInt(NormalFloatFormat.DOUBLE_BLOCK_SIZE);
        return new NormalFloatFormat(bits, block, isDouble ? size : 0, rule);
    }

    /** The mean of the largest magnitudes is the reference's, as its float32 sum is not ours. */
    @Test
    void normalFloatsEqualTheReferences() throws IOException {
        List<Integer> otherMeans = new ArrayList<>();
        forEachCase("nf", (one, file) -> {
            NormalFloatFormat format = normalFloat(one);
            float[] input = file.numbers(one.get("in").asString()).orElseThrow();
            LineBlocks blocks = LineBlocks.of(shape(one), Operand.WEIGHT, format.blockSize());
            float[] absMax = blocks.absMax(FloatBuffer.wrap(input));
            Optional<float[]> offset = part(file, "offset", one);
            float mean = AbsMaxima.mean(absMax);
            if (offset.isPresent() && mean != offset.get()[0]) {
                otherMeans.add(id(one));
                float expected = offset.get()[0];
                assertThat(mean).isBetween(Math.nextDown(expected), Math.nextUp(expected));
                mean = expected;
            }
            AbsMaxima stored = format.absMaxima(absMax, mean);
            assertStored(file, one, stored.parts(blocks));
            assertPart(file, "absmax", one, absMax);

            NormalFloatEncoding encoding = new NormalFloatEncoding(format, blocks, stored, absMax);
            float[] rounded = input.clone();
            encoding.round(FloatBuffer.wrap(rounded));
            assertPart(file, "out", one, rounded);
            Grid grid = Grid.ofRounded(format, shape(one), Operand.WEIGHT, encoding, FloatBuffer.wrap(rounded));
            assertThat(grid.exceptions()).isZero();
            assertPart(file, "code", one, codes(grid));

            if (otherMeans.isEmpty() || otherMeans.get(otherMeans.size() - 1) != id(one)) {
                NDArray array = NativeFloats.of(manager, input, shape(one).getShape());
                assertPart(
                        file,
                        "out",
                        one,
                        format.fakeQuantize(array, Operand.WEIGHT).toFloatArray());
            }
            compared++;
        });
        assertThat(compared).isEqualTo(56);
        assertThat(otherMeans).containsExactly(26, 27, 33);
    }

    private static void assertStored(GoldenFile file, JsonNode one, Map<String, RawTensor> parts) {
        RawTensor codes = parts.get("absmax_code");
        if (codes == null) {
            return;
        }
        boolean isStepped = parts.containsKey("absmax_factor");
        ByteBuffer bytes = codes.bytes();
        float[] numbers = new float[bytes.remaining()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = isStepped ? bytes.get(i) : bytes.get(i) & 0xff;
        }
        assertPart(file, "absmax_code", one, numbers);
        assertPart(file, isStepped ? "factor" : "absmax2", one, scales(parts, isStepped));
    }

    private static float[] scales(Map<String, RawTensor> parts, boolean isStepped) {
        return floats(Objects.requireNonNull(parts.get(isStepped ? "absmax_factor" : "absmax_scale")));
    }

    private static float[] floats(RawTensor part) {
        float[] values = new float[part.bytes().remaining() / Float.BYTES];
        part.bytes().asFloatBuffer().get(values);
        return values;
    }

    @Test
    void theTableOfLargestMagnitudesEqualsTheReference() throws IOException {
        GoldenFile file = GoldenFile.open("formats/nf");
        float[] table = new float[256];
        for (int i = 0; i < table.length; i++) {
            table[i] = DynamicTable.value(i);
        }
        assertSame("table", table, file.numbers("table/dynamic8").orElseThrow());
    }

    // integers

    private static IntegerGridFormat integer(JsonNode one) {
        IntegerGrid grid = switch (one.get("ref").asString()) {
            case "gptq", "GPTQModel" -> IntegerGrid.GPTQ;
            case "torchao" -> IntegerGrid.TORCHAO;
            default -> IntegerGrid.COMPRESSED_TENSORS;
        };
        Mapping mapping = grid == IntegerGrid.TORCHAO
                ? Mapping.valueOf(one.get("mapping").asString().toUpperCase(Locale.ROOT))
                : one.get("sym").asBoolean() ? Mapping.SYMMETRIC : Mapping.ASYMMETRIC;
        boolean isSearched = one.get("rule").asString().equals("mse");
        Range searched = switch (one.get("ref").asString()) {
            case "gptq" -> Range.GPTQ_MSE;
            case "GPTQModel" -> Range.GPTQMODEL_MSE;
            default -> Range.COMPRESSED_TENSORS_MSE;
        };
        return new IntegerGridFormat(
                one.get("bits").asInt(),
                Granularity.valueOf(one.get("gran").asString().toUpperCase(Locale.ROOT)),
                one.path("group").asInt(0),
                grid,
                mapping,
                isSearched ? searched : Range.MINMAX);
    }

    @Test
    void integerGridsEqualTheReferences() throws IOException {
        forEachCase("intgrid", (one, file) -> {
            IntegerGridFormat format = integer(one);
            float[] input = file.numbers(one.get("in").asString()).orElseThrow();
            NDArray array = NativeFloats.of(manager, input, shape(one).getShape());
            Grid grid = format.fit(array, Operand.WEIGHT).orElseThrow();
            float[] expected = part(file, "out", one).orElseThrow();
            assertSame("grid", grid.values(manager).toFloatArray(), expected);
            assertSame("out", format.fakeQuantize(array, Operand.WEIGHT).toFloatArray(), expected);
            assertPart(file, "scale", one, grid.scales());
            if (one.path("not_ready").asBoolean(false)) {
                assertThat(grid.exceptions()).isPositive();
                skip("the zero points and codes of a tensor that stays unrounded", one);
            } else {
                assertCodes(one, file, format, grid);
            }
            array.close();
            compared++;
        });
        assertThat(compared).isEqualTo(1224);
        assertThat(skipped)
                .containsExactly(
                        Map.entry("the zero points and codes of a tensor that stays unrounded", List.of(1101, 1104)));
    }

    /** In GPTQ symmetric codes are held from 0 up, with a zero point in the middle. */
    private static void assertCodes(JsonNode one, GoldenFile file, IntegerGridFormat format, Grid grid) {
        boolean isShifted =
                format.grid() == IntegerGrid.GPTQ && format.mapping().symmetric();
        int middle = isShifted ? 1 << (format.bits() - 1) : 0;
        float[] codes = codes(grid);
        for (int i = 0; i < codes.length; i++) {
            codes[i] += middle;
        }
        assertPart(file, "code", one, codes);
        float[] zeroPoints = floats(grid.zeroPoints());
        if (format.mapping().symmetric()) {
            zeroPoints = new float[grid.scales().length];
            Arrays.fill(zeroPoints, middle);
        }
        if (format.mapping() != Mapping.ASYMMETRIC_FLOAT) {
            assertPart(file, "zp", one, zeroPoints);
        } else {
            float[] stored = floats(Objects.requireNonNull(grid.parts().get("zero_point")));
            assertPart(file, "zp", one, stored);
        }
    }
}
