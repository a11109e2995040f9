package dev.ptq.model;

import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.format.LinearFacts;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.StaticFormat;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/** The formats of one model: for each of its linears, and for the attention of each block, with what they know about it. */
public final class ModelFormats {
    private final Map<String, LinearFormats> linears = new LinkedHashMap<>();
    /** By block: static ranges are those of one. */
    private final List<AttentionFormats> attention;

    private ModelFormats(List<AttentionFormats> attention) {
        this.attention = new ArrayList<>(attention);
    }

    /** Answers what formats ask about each linear and each cache of a model. */
    public interface Facts {
        LinearFacts of(LinearSpec linear);

        /**
         * Returns the range of what enters a cache by the rule of a format, or one for each feature of each head.
         *
         * @throws IOException if it cannot be read, or is not finite
         */
        List<Bounds> range(int block, HookPoint ofCache, StaticFormat format) throws IOException;
    }

    /** Looks up the formats of a model. Those that ask about linears and caches can round nothing yet. */
    public static ModelFormats of(QuantizationSettings settings, ModelConfig model) {
        ModelFormats formats = new ModelFormats(
                IntStream.range(0, model.blocks()).mapToObj(settings::attention).toList());
        Map<String, NumberFormat> inputs = settings.inputsOfCheckpoint();
        for (LinearSpec linear : LanguageModel.linears(model)) {
            formats.linears.put(linear.weightName(), settings.formats(linear.weightName(), inputs));
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

    /**
     * Returns the formats with other static ranges in a block.
     *
     * @param block of the model
     * @param ofBlock its linears
     * @param ranges by the path of the linear whose input has them, or by the label of a hook point of the cache; all others
     *     stay
     */
    public ModelFormats withRanges(int block, List<LinearSpec> ofBlock, Map<String, List<Bounds>> ranges)
            throws IOException {
        ModelFormats formats = withWeights(Map.of());
        for (LinearSpec linear : ofBlock) {
            List<Bounds> range = ranges.get(linear.path());
            if (range != null && of(linear).activation() instanceof StaticFormat format) {
                formats.linears.put(linear.weightName(), of(linear).withActivation(format.withRanges(range)));
            }
        }
        formats.know(block, (hookPoint, format) -> ranges.getOrDefault(hookPoint.label(), format.ranges()));
        return formats;
    }

    private void know(int block, KvFormats.Ranges ranges) throws IOException {
        attention.set(block, attention.get(block).knowing(ranges));
    }

    /** Returns whether formats of some linears, or of their blocks' caches, have to know more than the values they round. */
    public boolean ask(List<LinearSpec> some) {
        return some.stream()
                        .map(this::of)
                        .anyMatch(found -> found.weight().asksAboutLinear()
                                || found.activation().asksAboutLinear())
                || blocks(some).anyMatch(block -> !staticsOfCache(block).isEmpty());
    }

    /** Returns the formats, those of some linears and of their blocks' caches with what they ask. */
    public ModelFormats knowing(List<LinearSpec> some, Facts facts) throws IOException {
        ModelFormats formats = withWeights(Map.of());
        for (LinearSpec linear : some) {
            formats.linears.put(linear.weightName(), of(linear).knowing(facts.of(linear)));
        }
        for (int block : blocks(some).toArray()) {
            formats.know(block, (hookPoint, format) -> facts.range(block, hookPoint, format));
        }
        return formats;
    }

    private static IntStream blocks(List<LinearSpec> some) {
        return some.stream().mapToInt(LinearSpec::block).distinct();
    }

    /** The formats of a block's cache with static ranges, by the hook point whose values they are for. */
    public Map<HookPoint, StaticFormat> staticsOfCache(int block) {
        return attention.get(block).statics();
    }

    /** Returns the formats, the weights' without what they know of some linears. */
    public ModelFormats forgetting(List<LinearSpec> some) {
        Map<String, NumberFormat> weights = new LinkedHashMap<>();
        some.forEach(
                linear -> weights.put(linear.weightName(), of(linear).weight().dynamic()));
        return withWeights(weights);
    }

    /** The formats of a block's attention. */
    public AttentionFormats attention(int block) {
        return attention.get(block);
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
        block.quantizeAttention(attention.get(block.index()));
    }

    /** Like {@link #applyTo}, but only for what precedes the inputs at a hook point. */
    public void applyBefore(HookPoint hookPoint, Block block) {
        block.linears().stream()
                .filter(linear -> linear.spec().hookPoint().isBefore(hookPoint))
                .forEach(linear -> linear.quantize(of(linear.spec())));
        if (HookPoint.ATTENTION_IN.isBefore(hookPoint)) {
            block.quantizeAttention(attention.get(block.index()));
        }
    }

    /** Sets a block's activation formats, and leaves its biases. */
    public void roundOperands(Block block) {
        block.linears().forEach(linear -> linear.roundOperands(of(linear.spec())));
        block.quantizeAttention(attention.get(block.index()));
    }
}
