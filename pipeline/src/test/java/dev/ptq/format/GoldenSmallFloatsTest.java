package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.MxFormat.ScaleRule;
import dev.ptq.format.SmallFloat.Ties;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/**
 * MX, FP8 and NVFP4 against the results of microxcaling, torchao and compressed-tensors, with {@code ==}: values, codes
 * and scales. The reference data's notes say where an implementation of the definition differs; all cases that are
 * skipped are counted here, with the reason.
 */
class GoldenSmallFloatsTest {
    private static final int NAN_SCALE = 255;

    private final NDManager manager = TensorEngine.newManager();
    private final Map<String, Integer> skipped = new LinkedHashMap<>();

    @AfterEach
    void closeManager() {
        manager.close();
    }

    /** A reference case: its settings, and the file with its tensors. */
    private record Case(JsonNode settings, Safetensors tensors) {
        String text(String key) {
            return settings.get(key).asString();
        }

        boolean has(String key) {
            return settings.hasNonNull(key);
        }

        Shape shape() {
            return LqerQuantizers.shape(settings.get("shape"));
        }

        float[] input() throws IOException {
            return tensors.floats(text("in"));
        }

        float[] output() throws IOException {
            return Objects.requireNonNull(floats("out"));
        }

        /** The part of this case with the given name; empty if the reference has none. */
        float[] floats(String part) throws IOException {
            String name = part + "/"
                    + String.format(Locale.ROOT, "%04d", settings.get("id").asInt());
            return tensors.entries().containsKey(name) ? tensors.floats(name) : new float[0];
        }

        int[] integers(String part) throws IOException {
            String name = part + "/"
                    + String.format(Locale.ROOT, "%04d", settings.get("id").asInt());
            if (!tensors.entries().containsKey(name)) {
                return new int[0];
            }
            RawTensor stored = tensors.raw(name);
            ByteBuffer bytes = stored.bytes();
            int[] integers = new int[bytes.remaining() / stored.type().bytes()];
            for (int i = 0; i < integers.length; i++) {
                integers[i] = stored.type().bytes() == 1 ? bytes.get(i) & 0xff : bytes.getShort(2 * i);
            }
            return integers;
        }

        /** The largest magnitude of all tensors that the tensor scale is from. */
        float largestMagnitude() throws IOException {
            float largest = 0;
            for (JsonNode name : settings.get("amax_of")) {
                largest = Math.max(largest, GoldenSmallFloatsTest.largestMagnitude(tensors.floats(name.asString())));
            }
            return largest;
        }
    }

    private static float largestMagnitude(float[] values) {
        float largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }

    private interface Check {
        void run(Case one) throws IOException;
    }

    /** Runs all cases of a file. */
    private void forEach(String file, Check check) throws IOException {
        Path path = Shared.golden("formats/" + file + ".safetensors");
        assumeThat(Files.exists(path)).as("reference data beside the checkout").isTrue();
        try (Safetensors tensors = Safetensors.open(path)) {
            for (JsonNode settings : Shared.cases(path)) {
                check.run(new Case(settings, tensors));
                manager.getManagedArrays().forEach(NDArray::close);
            }
        }
    }

    private void skip(String reason) {
        skipped.merge(reason, 1, Integer::sum);
    }

    private static <E extends Enum<E>> E constant(Class<E> type, String name) {
        return Enum.valueOf(type, name.toUpperCase(Locale.ROOT).replace('-', '_'));
    }

    private static SmallFloat mxElement(String name) {
        for (SmallFloat element : SmallFloat.values()) {
            if (MxFormat.name(element).equals(name)) {
                return element;
            }
        }
        throw new AssertionError(name);
    }

    private Grid fit(NumberFormat format, float[] input, Shape shape, Operand operand) {
        NDArray values = NativeFloats.of(manager, input, shape.getShape());
        Grid grid = format.fit(values, operand).orElseThrow();
        float[] fitted = grid.values(manager).toFloatArray();
        assertSame(
                format + " fitted", fitted, format.fakeQuantize(values, operand).toFloatArray());
        assertSame(
                format + " differentiable",
                fitted,
                format.differentiable(values, operand).toFloatArray());
        return grid;
    }

    private static void assertSame(String what, float[] actual, float[] expected) {
        assertThat(differing(actual, expected)).as(what).isEmpty();
    }

    private static List<String> differing(float[] actual, float[] expected) {
        assertThat(actual).hasSameSizeAs(expected);
        List<String> differing = new ArrayList<>();
        for (int i = 0; i < actual.length; i++) {
            boolean equal = actual[i] == expected[i] || (Float.isNaN(actual[i]) && Float.isNaN(expected[i]));
            if (!equal) {
                differing.add("at " + i + ": " + actual[i] + ", expected " + expected[i]);
            }
        }
        return differing;
    }

    private static int[] codes(Grid grid) {
        int[] codes = new int[grid.codes().remaining()];
        grid.codes().get(codes);
        return codes;
    }

    /** Compares codes, zeros of both signs being equal, where values tell codes apart. */
    private static void assertCodes(Case one, Grid grid, SmallFloat element, float[] output, int[] expected) {
        int[] codes = codes(grid);
        for (int i = 0; i < expected.length; i++) {
            boolean tells = Math.abs(output[i]) > 0x1p-120f && Float.isFinite(output[i]);
            if (tells || (output[i] == 0 && element.value(expected[i]) == 0)) {
                assertThat(element.value(codes[i]))
                        .as(one.settings + " code " + i)
                        .isEqualTo(element.value(expected[i]) + 0f);
            }
        }
    }

    /** Every case differs from the definition in exactly as many elements as the reference data says. */
    @Test
    void mxIsItsDefinition() throws IOException {
        int[] equal = new int[1];
        int[] withScales = new int[1];
        Map<String, Integer> otherScales = new TreeMap<>();
        forEach("mx", one -> {
            SmallFloat element = mxElement(one.text("fmt"));
            MxFormat format = new MxFormat(
                    element,
                    one.settings.get("block").asInt(),
                    constant(ScaleRule.class, one.text("scale_rule")),
                    constant(Ties.class, one.text("ties")),
                    one.settings.path("flush").asBoolean(false));
            int axis = one.settings.get("axis").asInt();
            Shape shape = one.shape();
            assertThat(axis == -1 || axis == shape.dimension() - 2).isTrue();
            Operand operand = axis == -1 ? Operand.WEIGHT : Operand.FACTOR;
            Grid grid = fit(format, one.input(), shape, operand);
            float[] output = one.output();
            List<String> differing = differing(grid.values(manager).toFloatArray(), output);
            assertThat(differing)
                    .as(one.settings.toString())
                    .hasSize(one.settings.get("definition_differs").asInt());
            if (!differing.isEmpty()) {
                return;
            }
            equal[0]++;
            int[] scales = one.integers("scale");
            int[] own = bytes(grid);
            if (scales.length == 0 || operand == Operand.FACTOR) {
                return;
            }
            withScales[0]++;
            assertThat(scales).hasSameSizeAs(own);
            int[] codes = one.integers("code");
            int[] ownCodes = codes(grid);
            Blocks blocks = Blocks.over(shape.getShape(), List.of(1, format.blockSize()));
            for (int block = 0; block < scales.length; block++) {
                if (scales[block] != own[block]) {
                    otherScales.merge(one.text("ref") + " " + one.text("scale_rule"), 1, Integer::sum);
                }
            }
            for (int i = 0; i < codes.length; i++) {
                int scale = scales[blocks.blockOf(i)];
                if (scale == own[blocks.blockOf(i)] && scale != NAN_SCALE && Float.isFinite(output[i])) {
                    // + 0 makes zeros of both signs equal
                    assertThat(element.value(ownCodes[i]) + 0)
                            .as(one.settings + " code " + i)
                            .isEqualTo(element.value(codes[i]) + 0);
                }
            }
        });
        assertThat(equal[0]).isEqualTo(831);
        assertThat(withScales[0]).isEqualTo(787);
        // blocks with equal values and another scale: logarithms in float32, and zeros of mxint8 at 2^-126
        assertThat(otherScales).isEqualTo(Map.of("microxcaling floor", 58, "torchao rceil", 2, "definition ceil", 4));
    }

    private static int[] bytes(Grid grid) {
        ByteBuffer stored = Objects.requireNonNull(grid.parts().get("scale")).bytes();
        int[] bytes = new int[stored.remaining()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = stored.get(i) & 0xff;
        }
        return bytes;
    }

    @Test
    void fp8IsRoundedAsByTheCast() throws IOException {
        int[] compared = new int[1];
        forEach("fp8_cast", one -> {
            SmallFloat element = constant(SmallFloat.class, one.text("fmt"));
            if (element == SmallFloat.E5M2 && !one.settings.get("clamp").asBoolean()) {
                skip("a bare cast to E5M2 gives infinities");
                return;
            }
            float[] input = one.input();
            float[] expected = one.output();
            int[] codes = one.integers("code");
            float[] scalar = new float[input.length];
            float[] fast = input.clone();
            SmallFloatKernel kernel = new SmallFloatKernel(
                    SmallFloatKernel.Rounding.even(element, false), new Blocks(1, 1, fast.length, 1, fast.length));
            kernel.setAll(1, 1);
            kernel.round(fast, 0, 1);
            assertSame(one.settings.toString(), fast, expected);
            for (int i = 0; i < input.length; i++) {
                scalar[i] = element.round(input[i], Ties.EVEN);
                assertThat(element.code(scalar[i])).as("code of " + input[i]).isEqualTo(codes[i]);
            }
            assertSame("scalar " + one.settings, scalar, expected);
            float[] table = one.tensors.floats("table/" + one.text("fmt"));
            float[] values = new float[table.length];
            for (int code = 0; code < table.length; code++) {
                values[code] = element.value(code);
            }
            assertSame("values of codes", values, table);
            compared[0]++;
        });
        assertThat(compared[0]).isEqualTo(6);
        assertThat(skipped).containsExactly(Map.entry("a bare cast to E5M2 gives infinities", 2));
    }

    @Test
    void scaledFp8IsThatOfTheToolkits() throws IOException {
        int[] counts = new int[2];
        forEach("fp8", one -> {
            if (one.has("amax_min")) {
                skip("there is no key for a least amax");
                return;
            }
            SmallFloat element = constant(SmallFloat.class, one.text("fmt"));
            Fp8Format.Rule rule = constant(Fp8Format.Rule.class, one.text("rule"));
            List<Integer> block = List.of(
                    one.settings.get("block").get(0).asInt(),
                    one.settings.get("block").get(1).asInt());
            Fp8Format format = switch (one.text("gran")) {
                case "tensor" -> new Fp8Format(element, Fp8Format.Granularity.TENSOR, List.of(), rule);
                case "channel", "row" -> new Fp8Format(element, Fp8Format.Granularity.CHANNEL, List.of(), rule);
                case "token" -> new Fp8Format(element, Fp8Format.Granularity.TOKEN, List.of(), rule);
                default -> new Fp8Format(element, Fp8Format.Granularity.BLOCK, block, rule);
            };
            Grid grid = fit(format, one.input(), one.shape(), Operand.WEIGHT);
            float[] output = one.output();
            assertSame(one.settings.toString(), grid.values(manager).toFloatArray(), output);
            assertCodes(one, grid, element, output, one.integers("code"));
            float[] scale = one.floats("scale");
            if (scale.length > 0) {
                assertSame(one.settings + " scale", grid.scales(), scale);
                counts[1]++;
            }
            counts[0]++;
        });
        assertThat(counts).containsExactly(107, 107);
        assertThat(skipped).containsExactly(Map.entry("there is no key for a least amax", 22));
    }

    @Test
    void nvfp4IsThatOfTheToolkits() throws IOException {
        int[] counts = new int[2];
        forEach("nvfp4", one -> {
            Nvfp4Format.Rule rule = constant(Nvfp4Format.Rule.class, one.text("rule"));
            boolean tensorScale = one.settings.path("two_level").asBoolean(true);
            String observer = one.settings.path("observer").asString("");
            Nvfp4Format.Range range = switch (observer) {
                case "memoryless_mse" -> Nvfp4Format.Range.MSE;
                case "nvfp4_expanded_mse" -> Nvfp4Format.Range.EXPANDED_MSE;
                default -> Nvfp4Format.Range.MINMAX;
            };
            Optional<Float> amax = Optional.empty();
            if (observer.startsWith("dynamic")) {
                amax = Optional.of(0.75f * largestMagnitude(one.input()));
            } else if (one.has("fused")) {
                amax = Optional.of(one.largestMagnitude());
            }
            if (amax.isPresent() && !Float.isFinite(amax.get())) {
                skip("a given amax is finite");
                return;
            }
            if (!tensorScale && one.text("kind").equals("inf")) {
                skip("torchao clamps infinities");
                return;
            }
            Nvfp4Format format = new Nvfp4Format(rule, tensorScale, false, range, amax);
            Grid grid = fit(format, one.input(), one.shape(), Operand.WEIGHT);
            float[] output = one.output();
            assertSame(one.settings.toString(), grid.values(manager).toFloatArray(), output);
            assertCodes(one, grid, SmallFloat.E2M1, output, one.integers("code"));
            float[] scale = one.floats("scale");
            ByteBuffer codes = Objects.requireNonNull(grid.parts().get("scale")).bytes();
            float[] stored = new float[scale.length];
            for (int i = 0; i < stored.length; i++) {
                stored[i] = SmallFloat.E4M3.value(codes.get(i));
            }
            assertSame(one.settings + " scale", stored, scale);
            float[] tensor = one.floats("gscale");
            if (tensor.length > 0) {
                float[] own = new float[1];
                Objects.requireNonNull(grid.parts().get("tensor_scale"))
                        .bytes()
                        .asFloatBuffer()
                        .get(own);
                assertSame(one.settings + " tensor scale", own, tensor);
                counts[1]++;
            }
            counts[0]++;
        });
        assertThat(counts).containsExactly(80, 65);
        assertThat(skipped)
                .containsOnly(Map.entry("a given amax is finite", 2), Map.entry("torchao clamps infinities", 1));
    }
}
