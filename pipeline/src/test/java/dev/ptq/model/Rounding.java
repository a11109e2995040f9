package dev.ptq.model;

import dev.ptq.format.Operand;

/** Rounds the weights of loaded blocks, as tests do that bring formats of their own. */
public final class Rounding {
    private Rounding() {}

    /** Rounds weight and bias to nearest, and sets the formats of what flows through the layer. */
    public static void quantize(Linear linear, LinearFormats formats) {
        linear.replaceWeight(formats.weight().fakeQuantize(linear.weight(), Operand.WEIGHT));
        linear.quantize(formats);
    }

    /** The same for all linears of a block; its attention gets its formats too. */
    public static void quantize(Block block, QuantizationSettings settings) {
        block.linears()
                .forEach(linear ->
                        linear.replaceWeight(settings.formats(linear.spec().weightName())
                                .weight()
                                .fakeQuantize(linear.weight(), Operand.WEIGHT)));
        block.linears()
                .forEach(
                        linear -> linear.quantize(settings.formats(linear.spec().weightName())));
        block.quantizeAttention(settings.attention());
    }
}
