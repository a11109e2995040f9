package dev.ptq.model;

import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.format.LinearFacts;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.StaticFormat;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The formats of one model: for each of its linears, with what they know about it, and for attention. */
public final class ModelFormats {
    private final Map<String, LinearFormats> linears = new LinkedHashMap<>();
    private final AttentionFormats attention;

    private ModelFormats(AttentionFormats attention) {
        this.attention = attention;
    }

    /** Answers what formats ask about each linear of a model. */
    @FunctionalInterface
    public interface Facts {
        LinearFacts of(LinearSpec linear);
    }

    /** Looks up the formats of every linear of a model. Those that ask about linears can round nothing yet. */
    public static ModelFormats of(QuantizationSettings settings, ModelConfig model) {
        ModelFormats formats = new ModelFormats(settings.attention());
        for (LinearSpec linear : LanguageModel.linears(model)) {
            formats.linears.put(linear.weightName(), settings.formats(linear.weightName()));
        }
        return formats;
    }

    /** Returns the formats with others for weights, by name; those of all other operands stay. */
    public ModelFormats withWeights(Map<String, NumberFormat> weights) {
        ModelFormats formats = new ModelFormats(attention);
        linears.forEach((name, found) ->
                formats.linears.put(name, found.withWeight(weights.getOrDefault(name, found.weight()))));
        return formats;
    }

    /** Returns the formats with static ranges of some inputs, by the weight's name; there must be formats for them. */
    public ModelFormats withInputRanges(Map<String, List<Bounds>> ranges) {
        ModelFormats formats = withWeights(Map.of());
        ranges.forEach((name, range) -> formats.linears.computeIfPresent(
                name,
                (same, found) -> found.activation() instanceof StaticFormat format
                        ? found.withActivation(format.withRanges(range))
                        : found));
        return formats;
    }

    /** Returns whether formats of some linears have to know more than the values that they round. */
    public boolean askAboutLinears(List<LinearSpec> some) {
        return some.stream()
                .map(this::of)
                .anyMatch(found ->
                        found.weight().asksAboutLinear() || found.activation().asksAboutLinear());
    }

    /** Returns the formats, those of some linears with what they ask about them. */
    public ModelFormats knowing(List<LinearSpec> some, Facts facts) throws IOException {
        ModelFormats formats = withWeights(Map.of());
        for (LinearSpec linear : some) {
            formats.linears.put(linear.weightName(), of(linear).knowing(facts.of(linear)));
        }
        return formats;
    }

    /** Returns the formats, the weights' without what they know of some linears. */
    public ModelFormats forgetting(List<LinearSpec> some) {
        Map<String, NumberFormat> weights = new LinkedHashMap<>();
        some.forEach(
                linear -> weights.put(linear.weightName(), of(linear).weight().dynamic()));
        return withWeights(weights);
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
