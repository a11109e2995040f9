package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Every format against the results of LQER's own quantizers, with {@code ==}. */
class GoldenQuantizerTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "block_fp_bias1d",
                "block_fp_weight2d",
                "block_fp_act2d",
                "block_fp_act3d",
                "integer",
                "minifloat",
                "passthrough"
            })
    void equalsTheReferenceInEveryCase(String group) throws IOException {
        Path file = Shared.golden("quant_" + group + ".safetensors");
        int compared = 0;
        try (Safetensors tensors = Safetensors.open(file);
                NDManager manager = TensorEngine.newManager()) {
            for (JsonNode one : Shared.cases(file)) {
                JsonNode quantizer = one.get("quantizer");
                float[] input = tensors.floats(one.get("input").asString());
                float[] expected = tensors.floats(one.get("output").asString());
                NumberFormat format = LqerQuantizers.read(quantizer);
                boolean skipFirst = quantizer.path("skip_first_dim").asBoolean(false);
                Shape shape = LqerQuantizers.shape(one.get("shape"));

                float[] rounded = input.clone();
                Shape blocked = skipFirst && shape.dimension() == 2 ? new Shape(shape.get(0), 1, shape.get(1)) : shape;
                format.round(FloatBuffer.wrap(rounded), blocked, Operand.WEIGHT);
                assertEqual(one, rounded, expected);

                if (!skipFirst || shape.dimension() > 2) {
                    NDArray array = NativeFloats.of(manager, input, shape.getShape());
                    assertEqual(
                            one, format.differentiable(array, Operand.WEIGHT).toFloatArray(), expected);
                    assertEqual(one, format.fakeQuantize(array, Operand.WEIGHT).toFloatArray(), expected);
                    assertThat(array.toFloatArray()).isEqualTo(input);
                }
                compared++;
            }
        }
        assertThat(compared).isPositive();
    }

    private static void assertEqual(JsonNode one, float[] actual, float[] expected) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < actual.length; i++) {
            boolean equal = actual[i] == expected[i] || (Float.isNaN(actual[i]) && Float.isNaN(expected[i]));
            if (!equal) {
                throw new AssertionError(one + " at " + i + ": " + actual[i] + ", expected " + expected[i]);
            }
        }
    }
}
