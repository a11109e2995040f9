package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.LqerQuantizers;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Single linears and attention products against LQER's. */
class GoldenLayerTest {
    /** Sums of at most 64 products of a few units, in another order. */
    private static final double SUM = 1e-5;

    private static final Path FILE = Shared.golden("layers.safetensors");

    @Test
    void linearsGiveTheReferenceOutput() throws IOException {
        int compared = 0;
        try (Safetensors tensors = Safetensors.open(FILE);
                NDManager manager = TensorEngine.newManager()) {
            for (JsonNode one : Shared.cases(FILE)) {
                String name = one.get("name").asString();
                if (one.get("kind").asString().equals("matmul")) {
                    continue;
                }
                JsonNode quantizers = one.get("q_config");
                NumberFormat activation = LqerQuantizers.read(quantizers.get("x_quantizer"));
                NDArray weight = tensors.load(manager, name + "/weight");
                boolean hasBias = one.get("bias").asBoolean();
                NDArray bias = hasBias ? tensors.load(manager, name + "/bias") : null;
                LinearSpec spec = new LinearSpec(
                        0,
                        name,
                        name,
                        HookPoint.MLP_IN,
                        (int) weight.getShape().get(0),
                        (int) weight.getShape().get(1),
                        hasBias);
                Linear linear = new Linear(spec, weight, bias);
                Rounding.quantize(
                        linear,
                        new LinearFormats(
                                LqerQuantizers.read(quantizers.get("w_quantizer")),
                                activation,
                                LqerQuantizers.read(quantizers.get("b_quantizer"))));
                if (tensors.entries().containsKey(name + "/A")) {
                    JsonNode x = quantizers.get("x_quantizer");
                    linear.correct(new LowRank(
                            tensors.load(manager, name + "/A"),
                            tensors.load(manager, name + "/B"),
                            new LowRankFormats(
                                    new NoFormat(),
                                    Optional.of(LqerQuantizers.read(
                                            quantizers.path("A_out_quantizer").isObject()
                                                    ? quantizers.get("A_out_quantizer")
                                                    : x)),
                                    Optional.of(LqerQuantizers.read(
                                            quantizers.path("B_out_quantizer").isObject()
                                                    ? quantizers.get("B_out_quantizer")
                                                    : x)))));
                }

                assertClose(name + " weight", linear.weight(), tensors.floats(name + "/weight_quantized"), 0);
                if (bias != null) {
                    assertClose(
                            name + " bias",
                            Objects.requireNonNull(linear.bias()),
                            tensors.floats(name + "/bias_quantized"),
                            0);
                }
                NDArray x = activation.fakeQuantize(tensors.load(manager, name + "/x"), Operand.ACTIVATION);
                assertClose(name, linear.forward(x, Operators.inPlace()), tensors.floats(name + "/y"), SUM);
                compared++;
            }
        }
        assertThat(compared).isPositive();
    }

    /** The right operand is given as it enters the product; keys are held as its transpose. */
    @Test
    void attentionProductsGiveTheReferenceOutput() throws IOException {
        int compared = 0;
        try (Safetensors tensors = Safetensors.open(FILE);
                NDManager manager = TensorEngine.newManager()) {
            for (JsonNode one : Shared.cases(FILE)) {
                String name = one.get("name").asString();
                if (!one.get("kind").asString().equals("matmul")) {
                    continue;
                }
                NumberFormat left = LqerQuantizers.read(one.get("q_config").get("x_quantizer"));
                NumberFormat right = LqerQuantizers.read(one.get("q_config").get("w_quantizer"));
                NDArray x = left.fakeQuantize(tensors.load(manager, name + "/x"), Operand.ACTIVATION);
                NDArray y = tensors.load(manager, name + "/y");
                float[] expected = tensors.floats(name + "/product");

                assertClose(name, x.matMul(right.fakeQuantize(y, Operand.VALUE)), expected, SUM);
                NDArray held = y.transpose(0, 2, 1);
                NDArray keys = right.fakeQuantize(held, Operand.KEY);
                assertClose(name + " as keys", x.matMul(keys.transpose(0, 2, 1)), expected, SUM);
                compared++;
            }
        }
        assertThat(compared).isPositive();
    }

    private static void assertClose(String name, NDArray actual, float[] expected, double tolerance) {
        float[] values = actual.toFloatArray();
        assertThat(values).as(name).hasSameSizeAs(expected);
        double worst = 0;
        for (int i = 0; i < values.length; i++) {
            worst = Math.max(worst, Math.abs(values[i] - expected[i]));
        }
        assertThat(worst).as(name).isCloseTo(0, within(tolerance));
    }
}
