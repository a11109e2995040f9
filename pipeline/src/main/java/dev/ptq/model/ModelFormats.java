package dev.ptq.model;

import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.StaticFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** The formats of one model: for each of its linears, with its static input ranges, and for attention. */
public final class ModelFormats {
    private final Map<String, LinearFormats> linears = new LinkedHashMap<>();
    private final AttentionFormats attention;

    private ModelFormats(AttentionFormats attention) {
        this.attention = attention;
    }

    /** Looks up the formats of every linear of a model. */
    public static ModelFormats of(QuantizationSettings settings, ModelConfig model) {
        return of(settings, model, Map.of());
    }

    /**
     * Looks up the formats of every linear of a model.
     *
     * @param ranges of inputs, by the weight's name, for the formats that need one
     */
    public static ModelFormats of(QuantizationSettings settings, ModelConfig model, Map<String, Bounds> ranges) {
        ModelFormats formats = new ModelFormats(settings.attention());
        for (LinearSpec linear : LanguageModel.linears(model)) {
            LinearFormats found = settings.formats(linear.weightName());
            Bounds range = ranges.get(linear.weightName());
            formats.linears.put(
                    linear.weightName(),
                    range != null && found.activation() instanceof StaticFormat format
                            ? found.withActivation(format.withBounds(range.low(), range.high()))
                            : found);
        }
        return formats;
    }

    /** The formats of a linear. */
    public LinearFormats of(LinearSpec linear) {
        return Objects.requireNonNull(linears.get(linear.weightName()), linear.weightName());
    }

    /** The formats of all linear weights, by name. */
    public Map<String, NumberFormat> weights() {
        Map<String, NumberFormat> weights = new LinkedHashMap<>();
        linears.forEach((name, formats) -> weights.put(name, formats.weight()));
        return weights;
    }

    /** Rounds a block's biases and sets its activation formats; weights are as their source has them. */
    public void applyTo(Block block) {
        block.linears().forEach(linear -> linear.quantize(of(linear.spec())));
        block.quantizeAttention(attention);
    }

    /** Like {@link #applyTo}, but only for what precedes the inputs at a hook point. */
    public void applyBefore(HookPoint hookPoint, Block block) {
        block.linears().stream()
                .filter(linear -> linear.spec().hookPoint().isBefore(hookPoint))
                .forEach(linear -> linear.quantize(of(linear.spec())));
        if (HookPoint.ATTENTION_IN.isBefore(hookPoint)) {
            block.quantizeAttention(attention);
        }
    }

    /** Sets a block's activation formats, and leaves its biases. */
    public void roundOperands(Block block) {
        block.linears().forEach(linear -> linear.roundOperands(of(linear.spec())));
        block.quantizeAttention(attention);
    }
}
