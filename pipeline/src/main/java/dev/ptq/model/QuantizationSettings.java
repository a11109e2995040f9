package dev.ptq.model;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.config.Section;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.Formats;
import dev.ptq.format.InputFact;
import dev.ptq.format.LlmInt8Format;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.StaticFormat;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * The emulated number formats, {@code [quantization]}: for all linears, for single ones by name, and for attention and
 * its cache.
 *
 * @param linear formats of a linear that no override names
 * @param overrides later ones win
 * @param checkpoint the formats that are those of a packed checkpoint; overrides win
 */
public record QuantizationSettings(
        LinearFormats linear,
        AttentionFormats attention,
        List<FormatOverride> overrides,
        @OmittedIfEmpty Optional<CheckpointFormats> checkpoint) {
    /**
     * Other formats for some linears.
     *
     * @param pattern full-match regular expression over weight names
     */
    public record FormatOverride(
            String pattern,
            Optional<NumberFormat> weight,
            Optional<NumberFormat> activation,
            Optional<NumberFormat> bias,
            Optional<NumberFormat> output) {}

    private static final String FLOAT = "float32";

    private static final Key<ConfigTable> WEIGHT =
            Key.table("weight", Formats.SECTION).says("format of the weights of linears");

    private static final Key<ConfigTable> ACTIVATION =
            Key.table("activation", Formats.SECTION).says("format of the inputs of linears");

    private static final Key<ConfigTable> BIAS =
            Key.table("bias", Formats.SECTION).says("format of the biases of linears");

    private static final Key<ConfigTable> OUTPUT = Key.table("output", Formats.SECTION)
            .says(
                    "format of the outputs of linears, bias and low-rank path included, before anything else happens to them:"
                            + " here `\"token\"` is all heads of a token's query, key or value, before rotation. Mostly given in an"
                            + " override");

    private static final Key<Optional<ConfigTable>> LEFT = Key.table("left", Formats.SECTION)
            .optional(FLOAT)
            .says("short for `query` and `probability`, the left operands of the two products; their own keys win");

    private static final Key<Optional<ConfigTable>> RIGHT = Key.table("right", Formats.SECTION)
            .optional(FLOAT)
            .says("short for `key` and `value`, the right operands; their own keys win");

    private static final Key<Optional<ConfigTable>> QUERY = Key.table("query", Formats.SECTION)
            .optional("as `left`")
            .says("format of queries, each head by itself, after rotation (OPT: after scaling)");

    private static final Key<Optional<ConfigTable>> KEY = Key.table("key", Formats.SECTION)
            .optional("as `right`")
            .says("format of keys, each head by itself and transposed, after rotation");

    private static final Key<Optional<ConfigTable>> VALUE =
            Key.table("value", Formats.SECTION).optional("as `right`").says("format of values, each head by itself");

    private static final Key<Optional<ConfigTable>> PROBABILITY = Key.table("probability", Formats.SECTION)
            .optional("as `left`")
            .says("format of the attention probabilities, after the softmax");

    private static final Key<Optional<ConfigTable>> ATTENTION = Key.table(
                    "attention", Section.of("quantization.attention", QUERY, KEY, VALUE, PROBABILITY, LEFT, RIGHT))
            .optional(FLOAT)
            .says("formats of the operands of the attention products");

    private static final Key<Optional<ConfigTable>> KV = Key.table("kv", KvFormats.SECTION)
            .optional(FLOAT)
            .says("formats of the cache of keys and values; not beside `attention.key`, `.value` or `.right`");

    private static final Key<String> PATTERN =
            Key.text("pattern").says("regular expression that matches the whole name of a weight");

    private static final Key<List<ConfigTable>> OVERRIDE = Key.tables(
                    "override",
                    Section.of(
                            "quantization.override",
                            PATTERN,
                            overriding(WEIGHT),
                            overriding(ACTIVATION),
                            overriding(BIAS),
                            overriding(OUTPUT)))
            .says("other formats for the linears whose weight has a name that matches; later entries win");

    private static final Key<Optional<ConfigTable>> EVERY_WEIGHT = WEIGHT.optional(FLOAT);
    private static final Key<Optional<ConfigTable>> EVERY_ACTIVATION = ACTIVATION.optional(FLOAT);
    private static final Key<Optional<ConfigTable>> EVERY_BIAS =
            BIAS.optional("as `activation` if that is `mxint`, else float32");
    private static final Key<Optional<ConfigTable>> EVERY_OUTPUT = OUTPUT.optional(FLOAT);

    /** The keys of {@code [quantization]}. */
    public static final Section SECTION = Section.of(
            "quantization", EVERY_WEIGHT, EVERY_ACTIVATION, EVERY_BIAS, EVERY_OUTPUT, ATTENTION, KV, OVERRIDE);

    private static Key<Optional<ConfigTable>> overriding(Key<ConfigTable> format) {
        return format.optional("as without the override");
    }

    public QuantizationSettings {
        overrides = List.copyOf(overrides);
    }

    /** Formats that owe nothing to a checkpoint. */
    public QuantizationSettings(LinearFormats linear, AttentionFormats attention, List<FormatOverride> overrides) {
        this(linear, attention, overrides, Optional.empty());
    }

    /** Full precision. */
    public static QuantizationSettings none() {
        return new QuantizationSettings(LinearFormats.none(), AttentionFormats.none(), List.of());
    }

    /** Reads {@code [quantization]}. */
    public static QuantizationSettings read(ConfigTable table) {
        NumberFormat none = new NoFormat();
        NumberFormat weight = format(table, EVERY_WEIGHT, Formats.Use.WEIGHT).orElse(none);
        NumberFormat activation =
                format(table, EVERY_ACTIVATION, Formats.Use.INPUT).orElse(none);
        NumberFormat bias = format(table, EVERY_BIAS, Formats.Use.BIAS).orElseGet(() -> biasBeside(activation));
        NumberFormat output =
                format(table, EVERY_OUTPUT, Formats.Use.ACTIVATION).orElse(none);
        Optional<ConfigTable> attentionTable = table.read(ATTENTION);
        AttentionFormats attention =
                attentionTable.map(QuantizationSettings::readAttention).orElseGet(AttentionFormats::none);
        Optional<KvFormats> kv = table.read(KV).map(KvFormats::read);
        if (kv.isPresent() && !isRoundedTwice(table, attentionTable)) {
            attention = attention.with(kv.get());
        }
        List<FormatOverride> overrides = new ArrayList<>();
        for (ConfigTable override : table.read(OVERRIDE)) {
            overrides.add(readOverride(override));
        }
        return new QuantizationSettings(new LinearFormats(weight, activation, bias, output), attention, overrides);
    }

    /** An operand's own format takes precedence over that of its side of the product. */
    private static AttentionFormats readAttention(ConfigTable table) {
        NumberFormat left = format(table, LEFT, Formats.Use.ACTIVATION).orElseGet(NoFormat::new);
        NumberFormat right = format(table, RIGHT, Formats.Use.ACTIVATION).orElseGet(NoFormat::new);
        return new AttentionFormats(
                format(table, QUERY, Formats.Use.ACTIVATION).orElse(left),
                format(table, KEY, Formats.Use.ACTIVATION).orElse(right),
                format(table, VALUE, Formats.Use.ACTIVATION).orElse(right),
                format(table, PROBABILITY, Formats.Use.ACTIVATION).orElse(left));
    }

    /** Reports attention formats of keys or values beside those of their cache. */
    private static boolean isRoundedTwice(ConfigTable table, Optional<ConfigTable> attention) {
        List<String> both = attention.stream()
                .flatMap(own -> Stream.of(KEY, VALUE, RIGHT).filter(own::has).map(key -> own.path() + "." + key.name()))
                .toList();
        if (!both.isEmpty()) {
            table.problem(
                    KV,
                    "keys and values would be rounded twice, here and by " + String.join(" and ", both)
                            + "; leave one of them out");
        }
        return !both.isEmpty();
    }

    private static Optional<NumberFormat> format(ConfigTable table, Key<Optional<ConfigTable>> key, Formats.Use use) {
        return table.read(key).map(t -> Formats.read(t, use));
    }

    private static FormatOverride readOverride(ConfigTable table) {
        String pattern = table.read(PATTERN);
        try {
            Pattern.compile(pattern);
        } catch (PatternSyntaxException e) {
            table.problem(PATTERN, "expected a regular expression, got '" + pattern + "': " + e.getDescription());
            pattern = "";
        }
        FormatOverride override = new FormatOverride(
                pattern,
                format(table, overriding(WEIGHT), Formats.Use.WEIGHT),
                format(table, overriding(ACTIVATION), Formats.Use.INPUT),
                format(table, overriding(BIAS), Formats.Use.BIAS),
                format(table, overriding(OUTPUT), Formats.Use.ACTIVATION));
        if (override.weight().isEmpty()
                && override.activation().isEmpty()
                && override.bias().isEmpty()
                && override.output().isEmpty()) {
            table.problem("expected a weight, activation, bias or output format, got none of them");
        }
        return override;
    }

    /** The default bias format: the activation format if that is block floating point, else none. */
    private static NumberFormat biasBeside(NumberFormat activation) {
        return activation.dynamic() instanceof BlockFloatFormat blocks ? blocks : new NoFormat();
    }

    /** Reports to {@code table} the overrides that match none of these linears, and formats that do not fit them. */
    public void check(List<LinearSpec> linears, ConfigTable table) {
        List<ConfigTable> tables = table.read(OVERRIDE);
        checkLinears(linears, table, tables);
        for (int i = 0; i < overrides.size(); i++) {
            String pattern = overrides.get(i).pattern();
            if (!pattern.isEmpty()
                    && linears.stream().noneMatch(linear -> linear.weightName().matches(pattern))) {
                tables.get(i)
                        .problem(
                                PATTERN,
                                "'" + pattern + "' matches no weight; there are such as "
                                        + linears.get(0).weightName());
            }
        }
    }

    /** Reports the first linear that the formats of each table do not fit. */
    private void checkLinears(List<LinearSpec> linears, ConfigTable table, List<ConfigTable> tables) {
        Set<ConfigTable> ofWeights = new HashSet<>();
        Set<ConfigTable> ofInputs = new HashSet<>();
        Map<String, NumberFormat> inputs = inputsOfCheckpoint();
        for (LinearSpec linear : linears) {
            String name = linear.weightName();
            Optional<String> refusal = weight(name).refusal(new Shape(linear.outFeatures(), linear.inFeatures()));
            ConfigTable weight = tableOf(FormatOverride::weight, name, table, tables);
            if (refusal.isPresent() && ofWeights.add(weight)) {
                weight.problem(WEIGHT.name(), name + ": " + refusal.get());
            }
            ConfigTable input = tableOf(FormatOverride::activation, name, table, tables);
            boolean isOfSequences =
                    formats(name, inputs).activation() instanceof LlmInt8Format format && !format.spansBatch();
            if (isOfSequences && linear.hookPoint().isRouted() && ofInputs.add(input)) {
                input.problem(
                        ACTIVATION.name(),
                        name + ": an expert takes tokens of several sequences at once; set per = \"batch\", or give"
                                + " experts another format in an override");
            }
        }
    }

    /**
     * Returns the settings with what a packed checkpoint asks for where the experiment does not say.
     *
     * @param table the experiment's, if it has one
     */
    public QuantizationSettings with(PackedModel model, Optional<ConfigTable> table) {
        boolean saysInputs = table.isPresent() && table.get().has(EVERY_ACTIVATION);
        boolean roundsOperands = !(attention.key().isNone() && attention.value().isNone());
        boolean saysCaches = roundsOperands || (table.isPresent() && table.get().has(KV));
        return new QuantizationSettings(
                linear, attention, overrides, CheckpointFormats.of(model, !saysInputs, !saysCaches));
    }

    /**
     * Reports to {@code table} formats of weights that are packed already.
     *
     * @param hint what to do
     */
    public void checkPacked(PackedModel model, ConfigTable table, String hint) {
        List<ConfigTable> tables = table.read(OVERRIDE);
        Set<ConfigTable> reported = new HashSet<>();
        for (PackedModel.OfLinear linear : model.linears()) {
            ConfigTable source = tableOf(FormatOverride::weight, linear.weightName(), table, tables);
            if (!weight(linear.weightName()).isNone() && reported.add(source)) {
                source.problem(
                        WEIGHT.name(), linear.weightName() + " is packed already (" + linear.label() + "): " + hint);
            }
        }
    }

    /** Returns the formats of the attention of a block. */
    public AttentionFormats attention(int block) {
        return checkpoint
                .filter(formats -> !formats.caches().isEmpty())
                .map(formats -> attention.with(formats.caches().get(block)))
                .orElse(attention);
    }

    /** Returns the table that has a format of a linear: that of the last override with one, or else the whole. */
    private ConfigTable tableOf(
            Function<FormatOverride, Optional<NumberFormat>> format,
            String weightName,
            ConfigTable table,
            List<ConfigTable> tables) {
        ConfigTable found = table;
        for (int i = 0; i < overrides.size(); i++) {
            boolean decides = format.apply(overrides.get(i)).isPresent()
                    && weightName.matches(overrides.get(i).pattern());
            found = decides ? tables.get(i) : found;
        }
        return found;
    }

    /** The formats of a linear, by its weight's name. */
    public LinearFormats formats(String weightName) {
        return formats(weightName, inputsOfCheckpoint());
    }

    /** The format of the weight of a linear, by its name. */
    public NumberFormat weight(String weightName) {
        return formats(weightName, Map.of()).weight();
    }

    /** The formats of inputs that are those of a packed checkpoint, by the names of weights. */
    Map<String, NumberFormat> inputsOfCheckpoint() {
        return checkpoint.map(CheckpointFormats::byWeight).orElse(Map.of());
    }

    /** The same with {@link #inputsOfCheckpoint}, looked up once for many linears. */
    LinearFormats formats(String weightName, Map<String, NumberFormat> inputs) {
        NumberFormat weight = linear.weight();
        NumberFormat activation = Optional.ofNullable(inputs.get(weightName)).orElse(linear.activation());
        NumberFormat bias = linear.bias();
        NumberFormat output = linear.output();
        for (FormatOverride override : overrides) {
            if (weightName.matches(override.pattern())) {
                weight = override.weight().orElse(weight);
                activation = override.activation().orElse(activation);
                bias = override.bias().orElse(bias);
                output = override.output().orElse(output);
            }
        }
        return new LinearFormats(weight, activation, bias, output);
    }

    /** Keeps only what decides the quantized weights. */
    public QuantizationSettings weightsOnly() {
        NumberFormat none = new NoFormat();
        List<FormatOverride> kept = overrides.stream()
                .filter(override -> override.weight().isPresent())
                .map(override -> new FormatOverride(
                        override.pattern(), override.weight(), Optional.empty(), Optional.empty(), Optional.empty()))
                .toList();
        return new QuantizationSettings(new LinearFormats(linear.weight(), none, none), AttentionFormats.none(), kept);
    }

    /** Returns whether results depend on which sequences are in a batch. */
    public boolean spansBatch() {
        return activations().anyMatch(NumberFormat::spansBatch);
    }

    private Stream<NumberFormat> activations() {
        return Stream.of(
                        Stream.of(linear.activation()),
                        checkpoint.stream()
                                .flatMap(own -> own.inputs().stream())
                                .map(CheckpointFormats.OfInput::format),
                        overrides.stream().flatMap(override -> override.activation().stream()))
                .flatMap(formats -> formats);
    }

    /** Returns whether inputs of some linears, or keys or values in a cache, have a static range. */
    public boolean hasStaticActivations() {
        return !attention.statics().isEmpty() || activations().anyMatch(StaticFormat.class::isInstance);
    }

    /** Returns whether any format asks anything of calibration. */
    public boolean askCalibration() {
        return !needs().isEmpty() || !attention.statics().isEmpty();
    }

    /** Returns what the formats of linears ask of calibration, all of them together. */
    public Set<InputFact> needs() {
        Set<InputFact> needs = EnumSet.noneOf(InputFact.class);
        activations().forEach(format -> needs.addAll(format.needs()));
        needs.addAll(weightNeeds());
        return needs;
    }

    /** Returns what the formats of weights ask of calibration. */
    public Set<InputFact> weightNeeds() {
        Set<InputFact> needs = EnumSet.noneOf(InputFact.class);
        weights().forEach(format -> needs.addAll(format.needs()));
        return needs;
    }

    /** Returns whether formats of weights have to know more of a linear than its weight. */
    public boolean weightsAskAboutLinears() {
        return weights().anyMatch(NumberFormat::asksAboutLinear);
    }

    private Stream<NumberFormat> weights() {
        return Stream.concat(
                Stream.of(linear.weight()), overrides.stream().flatMap(override -> override.weight().stream()));
    }

    /** Returns whether nothing is rounded. */
    public boolean isNone() {
        return equals(none());
    }
}
