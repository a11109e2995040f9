package dev.ptq.method;

import dev.ptq.calibrate.Statistic;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.method.ClipSearch.Ends;
import dev.ptq.method.ScaleCandidates.Duo;
import dev.ptq.method.ScaleCandidates.Last;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping.Kind;
import java.io.IOException;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * AWQ: channels are rescaled by the factors, out of some that follow from activations, with which rounding the weights
 * behind them moves the output of their module least; then the ranges of weights are made smaller where that helps. Source:
 * AWQ (MLSys 2024).
 *
 * <p>The module is attention for the linears behind its norm, the MLP (of a mixture all of it) for those behind the other
 * norm, and the linear itself elsewhere. All mappings are searched on the block as it was; none changes what is compared in
 * another.
 *
 * @param mappings to be rescaled
 * @param groupedValues whether values are rescaled that several query heads share
 * @param inputs of the block
 * @param byMlp whether the weights' mean magnitudes are multiplied by that of the first weights of the MLP
 * @param asRounded whether weights are rounded in the search for factors as they will be; else without a search for ranges
 * @param clip absent where ranges stay
 */
record Awq(
        List<Kind> mappings,
        boolean groupedValues,
        Inputs inputs,
        ScaleCandidates candidates,
        boolean byMlp,
        boolean asRounded,
        Optional<ClipSearch> clip)
        implements Method {
    /** Whose settings are taken where the table does not say otherwise. */
    private enum Preset {
        NONE(true, Inputs.QUANTIZED, Ends.OWN),
        ORIGINAL(false, Inputs.FULL_PRECISION, Ends.SYMMETRIC),
        LLMC(false, Inputs.FULL_PRECISION, Ends.OWN),
        LLM_COMPRESSOR(false, Inputs.FULL_PRECISION, Ends.OWN),
        GPTQMODEL(false, Inputs.QUANTIZED, Ends.SYMMETRIC);

        private final boolean groupedValues;
        private final Inputs inputs;
        private final Ends ends;

        Preset(boolean groupedValues, Inputs inputs, Ends ends) {
            this.groupedValues = groupedValues;
            this.inputs = inputs;
            this.ends = ends;
        }

        private ScaleCandidates candidates() {
            return switch (this) {
                case NONE -> new ScaleCandidates(11, Last.ONE, Duo.BOTH, true);
                case ORIGINAL, LLMC -> new ScaleCandidates(20, Last.BELOW_ONE, Duo.OFF, true);
                case LLM_COMPRESSOR -> new ScaleCandidates(19, Last.ONE, Duo.ON, true);
                case GPTQMODEL -> new ScaleCandidates(20, Last.BELOW_ONE, Duo.ON, false);
            };
        }

        private boolean clips() {
            return this != LLM_COMPRESSOR;
        }

        private boolean byMlp() {
            return this == GPTQMODEL;
        }

        private boolean asRounded() {
            return this != LLM_COMPRESSOR;
        }
    }

    private static final String AS_PRESET = "as `preset` has it; alone ";

    private static final Key<Preset> PRESET = Key.choice(
                    "preset",
                    Choices.of("none", Preset.NONE, "those of this program")
                            .and("original", Preset.ORIGINAL, "those of AWQ's own code")
                            .and("llm_compressor", Preset.LLM_COMPRESSOR, "those of llm-compressor")
                            .and("gptqmodel", Preset.GPTQMODEL, "those of GPTQModel")
                            .and("llmc", Preset.LLMC, "those of LLMC"))
            .preset(Preset.NONE)
            .says("whose defaults the other keys have. The integers that go with them are `grid` of the format");

    private static final MappingKeys MAPPINGS = MappingKeys.of(
            List.of(Kind.ATTENTION_IN, Kind.VALUE_OUT, Kind.MLP_IN, Kind.MLP_MID),
            EnumSet.complementOf(EnumSet.of(Kind.QUERY_KEY)));

    private static final Key<Boolean> GROUPED_VALUES = Key.choice(
                    "grouped_values",
                    Choices.of("scale", true, "with the means over these heads")
                            .and("leave", false, "they are left alone"))
            .presetIs(AS_PRESET + "`\"scale\"`")
            .says("how `v_o` is rescaled where several query heads share a head of values");

    private static final Key<Inputs> PROPAGATE = Key.choice(
                    "propagate",
                    Choices.of("quantized", Inputs.QUANTIZED, "the finished blocks, as they will run")
                            .and("full_precision", Inputs.FULL_PRECISION, "the blocks as they were"))
            .presetIs(AS_PRESET + "`\"quantized\"`")
            .says("what the samples pass on their way to a block");

    private static final Key<Integer> RATIOS = Key.integer("ratios")
            .from(1)
            .to(1000)
            .presetIs(AS_PRESET + "`11`")
            .says("how many ratios are tried, from 0 up in equal steps");

    private static final Key<Last> LAST = Key.choice("last_ratio", Last.CHOICES)
            .presetIs(AS_PRESET + "`\"one\"`")
            .says("where they end");

    private static final Key<Duo> DUO = Key.choice("duo", Duo.CHOICES)
            .presetIs(AS_PRESET + "`\"both\"`")
            .says(
                    "whether the weights' mean magnitudes `w` take part in the factors, besides those of activations, `x`");

    private static final Key<Boolean> BY_MLP = Key.choice(
                    "duo_unit",
                    Choices.of("one", false, "as they are")
                            .and(
                                    "mlp",
                                    true,
                                    "times the mean magnitude of the first weights of the MLP, as in GPTQModel. It matters"
                                            + " beside the 1e-4 that is added to them, and there alone"))
            .presetIs(AS_PRESET + "`\"one\"`")
            .says("how `w` is measured");

    private static final Key<Boolean> UNSCALED =
            Key.flag("unscaled").presetIs(AS_PRESET + "`true`").says("whether factors of 1 are among those tried");

    private static final Key<Boolean> AS_ROUNDED = Key.choice(
                    "search_range",
                    Choices.of("format", true, "as the format has it")
                            .and(
                                    "minmax",
                                    false,
                                    "from the smallest to the largest value, whatever `range` the format has"))
            .presetIs(AS_PRESET + "`\"format\"`")
            .says("the ranges of weights while factors are searched for");

    private static final Key<Boolean> CLIP = Key.flag("clip")
            .presetIs(AS_PRESET + "`true`")
            .says("whether ranges of weights are searched for afterwards. With `false`, its other keys are unknown");

    private static final Key<Integer> CLIP_STEPS =
            Key.integer("clip_steps").from(2).to(1000).preset(10).says("how many ranges are tried");

    private static final Key<Double> CLIP_LEAST = Key.decimal("clip_least")
            .from(0.0)
            .to(1.0)
            .preset(0.55)
            .says("the smallest of them, as a share of the whole range");

    private static final Key<Integer> CLIP_TOKENS = Key.integer("clip_tokens")
            .from(1)
            .to(1 << 20)
            .preset(512)
            .says("tokens that errors are taken on: so many or up to twice as many");

    private static final Key<Ends> CLIP_ENDS = Key.choice("clip_ends", Ends.CHOICES)
            .presetIs(AS_PRESET + "`\"own\"`")
            .says("the whole range");

    private static final Key<Boolean> CLIP_QUERIES_KEYS = Key.flag("clip_queries_keys")
            .preset(false)
            .says("whether weights that make queries and keys are clipped too");

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(
            PRESET,
            MAPPINGS.key(),
            GROUPED_VALUES,
            PROPAGATE,
            RATIOS,
            LAST,
            DUO,
            BY_MLP,
            UNSCALED,
            AS_ROUNDED,
            CLIP,
            CLIP_STEPS,
            CLIP_LEAST,
            CLIP_TOKENS,
            CLIP_ENDS,
            CLIP_QUERIES_KEYS);

    static Awq read(ConfigTable table) {
        Preset preset = table.read(PRESET);
        List<Kind> mappings = MAPPINGS.read(table);
        return new Awq(
                mappings,
                table.read(GROUPED_VALUES, preset.groupedValues),
                table.read(PROPAGATE, preset.inputs),
                new ScaleCandidates(
                        table.read(RATIOS, preset.candidates().ratios()),
                        table.read(LAST, preset.candidates().last()),
                        table.read(DUO, preset.candidates().duo()),
                        table.read(UNSCALED, preset.candidates().unscaled())),
                table.read(BY_MLP, preset.byMlp()),
                table.read(AS_ROUNDED, preset.asRounded()),
                table.read(CLIP, preset.clips()) ? Optional.of(clip(table, preset)) : Optional.empty());
    }

    private static ClipSearch clip(ConfigTable table, Preset preset) {
        return new ClipSearch(
                table.read(CLIP_STEPS),
                table.read(CLIP_LEAST),
                table.read(CLIP_TOKENS),
                table.read(CLIP_ENDS, preset.ends),
                table.read(CLIP_QUERIES_KEYS));
    }

    @Override
    public String name() {
        return "awq";
    }

    @Override
    public Phase phase() {
        return Phase.TRANSFORM;
    }

    @Override
    public Needs needs() {
        boolean isOfLinears = mappings.contains(Kind.VALUE_OUT) || mappings.contains(Kind.MLP_MID);
        return new Needs(
                isOfLinears ? EnumSet.of(Statistic.MEAN_ABS, Statistic.HESSIAN) : EnumSet.of(Statistic.MEAN_ABS),
                inputs,
                Optional.empty(),
                true);
    }

    /** Returns whether the error of its own output is measured. */
    @Override
    public boolean matches(LinearSpec linear) {
        return switch (linear.hookPoint().place()) {
            case ATTENTION_OUT -> mappings.contains(Kind.VALUE_OUT);
            case MLP_MID -> mappings.contains(Kind.MLP_MID);
            case ATTENTION_IN, KEY, ROTATED_KEY, VALUE, MIXTURE_IN, MLP_IN -> false;
        };
    }

    @Override
    public Set<Kind> transforms() {
        return Set.copyOf(mappings);
    }

    @Override
    public boolean onlyTransforms() {
        return clip.isEmpty();
    }

    @Override
    public boolean clips() {
        return clip.isPresent();
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        if (quantization.weightsOnly().isNone()) {
            table.problem(
                    "method",
                    "awq compares how weights round, and none has a format: add one to [quantization.weight]");
        }
        LanguageModel.linears(shape).stream()
                .filter(linear -> matches(linear) && linear.inFeatures() > Statistic.LARGEST_MATRIX)
                .findFirst()
                .ifPresent(linear -> table.problem(
                        "mappings",
                        "awq measures the output of weights of at most " + Statistic.LARGEST_MATRIX
                                + " input features, " + linear.weightName() + " has " + linear.inFeatures()
                                + "; leave out \""
                                + (linear.hookPoint().place() == HookPoint.Place.MLP_MID
                                                ? Kind.MLP_MID
                                                : Kind.VALUE_OUT)
                                        .label()
                                + "\""));
    }

    @Override
    public void apply(BlockContext context) throws IOException {
        new AwqSearch(this, context).run();
    }
}
