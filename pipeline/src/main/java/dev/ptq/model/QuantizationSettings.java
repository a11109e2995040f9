package dev.ptq.model;

import dev.ptq.config.ConfigTable;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.Formats;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.StaticFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * The emulated number formats, {@code [quantization]}: of every linear, of single ones by name, and of attention.
 *
 * @param linear formats of a linear that no override names
 * @param overrides later ones win
 */
public record QuantizationSettings(LinearFormats linear, AttentionFormats attention, List<FormatOverride> overrides) {
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

    public QuantizationSettings {
        overrides = List.copyOf(overrides);
    }

    /** Full precision. */
    public static QuantizationSettings none() {
        return new QuantizationSettings(LinearFormats.none(), AttentionFormats.none(), List.of());
    }

    /** Reads {@code [quantization]}. */
    public static QuantizationSettings read(ConfigTable table) {
        NumberFormat none = new NoFormat();
        NumberFormat weight = format(table, "weight", Formats.Use.WEIGHT).orElse(none);
        NumberFormat activation = format(table, "activation", Formats.Use.INPUT).orElse(none);
        NumberFormat bias = format(table, "bias", Formats.Use.BIAS).orElseGet(() -> biasBeside(activation));
        NumberFormat output = format(table, "output", Formats.Use.ACTIVATION).orElse(none);
        AttentionFormats attention = table.table("attention")
                .map(QuantizationSettings::readAttention)
                .orElseGet(AttentionFormats::none);
        List<FormatOverride> overrides = new ArrayList<>();
        for (ConfigTable override : table.tables("override")) {
            overrides.add(readOverride(override));
        }
        return new QuantizationSettings(new LinearFormats(weight, activation, bias, output), attention, overrides);
    }

    /** An operand of its own goes before the side of the products that it is on. */
    private static AttentionFormats readAttention(ConfigTable table) {
        NumberFormat left = format(table, "left", Formats.Use.ACTIVATION).orElseGet(NoFormat::new);
        NumberFormat right = format(table, "right", Formats.Use.ACTIVATION).orElseGet(NoFormat::new);
        return new AttentionFormats(
                format(table, "query", Formats.Use.ACTIVATION).orElse(left),
                format(table, "key", Formats.Use.ACTIVATION).orElse(right),
                format(table, "value", Formats.Use.ACTIVATION).orElse(right),
                format(table, "probability", Formats.Use.ACTIVATION).orElse(left));
    }

    private static Optional<NumberFormat> format(ConfigTable table, String key, Formats.Use use) {
        return table.table(key).map(t -> Formats.read(t, use));
    }

    private static FormatOverride readOverride(ConfigTable table) {
        String pattern = table.string("pattern");
        try {
            Pattern.compile(pattern);
        } catch (PatternSyntaxException e) {
            table.problem("pattern", "expected a regular expression, got '" + pattern + "': " + e.getDescription());
            pattern = "";
        }
        FormatOverride override = new FormatOverride(
                pattern,
                format(table, "weight", Formats.Use.WEIGHT),
                format(table, "activation", Formats.Use.INPUT),
                format(table, "bias", Formats.Use.BIAS),
                format(table, "output", Formats.Use.ACTIVATION));
        if (override.weight().isEmpty()
                && override.activation().isEmpty()
                && override.bias().isEmpty()
                && override.output().isEmpty()) {
            table.problem("expected a weight, activation, bias or output format, got none of them");
        }
        return override;
    }

    /** Left out, a bias is rounded as activations are where these are block floating point. */
    private static NumberFormat biasBeside(NumberFormat activation) {
        return activation.dynamic() instanceof BlockFloatFormat blocks ? blocks : new NoFormat();
    }

    /** Reports to {@code table} the overrides that match none of these linears. */
    public void check(List<LinearSpec> linears, ConfigTable table) {
        List<ConfigTable> tables = table.tables("override");
        for (int i = 0; i < overrides.size(); i++) {
            String pattern = overrides.get(i).pattern();
            if (!pattern.isEmpty()
                    && linears.stream().noneMatch(linear -> linear.weightName().matches(pattern))) {
                tables.get(i)
                        .problem(
                                "pattern",
                                "'" + pattern + "' matches no weight; there are such as "
                                        + linears.get(0).weightName());
            }
        }
    }

    /** The formats of a linear, by its weight's name. */
    public LinearFormats formats(String weightName) {
        NumberFormat weight = linear.weight();
        NumberFormat activation = linear.activation();
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

    /** Only what decides the quantized weights. */
    public QuantizationSettings weightsOnly() {
        NumberFormat none = new NoFormat();
        List<FormatOverride> kept = overrides.stream()
                .filter(override -> override.weight().isPresent())
                .map(override -> new FormatOverride(
                        override.pattern(), override.weight(), Optional.empty(), Optional.empty(), Optional.empty()))
                .toList();
        return new QuantizationSettings(new LinearFormats(linear.weight(), none, none), AttentionFormats.none(), kept);
    }

    /** Whether inputs of some linears have a range that is found beforehand. */
    public boolean hasStaticActivations() {
        return linear.activation() instanceof StaticFormat
                || overrides.stream()
                        .flatMap(override -> override.activation().stream())
                        .anyMatch(StaticFormat.class::isInstance);
    }

    /** Whether nothing is rounded. */
    public boolean isNone() {
        return equals(none());
    }
}
