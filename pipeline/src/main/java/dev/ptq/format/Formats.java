package dev.ptq.format;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.TomlWriter;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;

/** The number formats by the names they have in configs. */
public final class Formats {
    /** Where a format is used, which decides what an integer scale can be shared by. */
    public enum Use {
        /** A linear weight. */
        WEIGHT,
        /** The input of a linear. */
        INPUT,
        /** Another value that changes with every token. */
        ACTIVATION,
        /** A low-rank factor. */
        FACTOR,
        /** A bias. */
        BIAS
    }

    /**
     * What a table may say of integers, and of ranges that are found beforehand.
     *
     * @param granularities by name
     * @param granularity the name of the preset
     * @param symmetric the preset
     * @param searched whether a range can be searched for
     * @param says whether the table may say {@code dynamic}
     * @param calibrated whether there may be a range from calibration
     * @param bounds whether the table may have that range
     */
    private record Rules(
            Map<String, Granularity> granularities,
            String granularity,
            boolean symmetric,
            boolean searched,
            boolean says,
            boolean calibrated,
            boolean bounds) {
        /** For what {@link #written} gave, which has every key. */
        static final Rules OF_WRITTEN = new Rules(names(Granularity.values()), "tensor", true, true, true, true, true);

        static Rules of(Use use) {
            return switch (use) {
                case WEIGHT -> fixed("channel", Granularity.TENSOR, Granularity.CHANNEL, Granularity.GROUP);
                case FACTOR ->
                    fixed("channel", Granularity.TENSOR, Granularity.CHANNEL, Granularity.GROUP)
                            .unsearched();
                case BIAS -> fixed("tensor", Granularity.TENSOR).unsearched();
                case INPUT -> changing(true);
                case ACTIVATION -> changing(false);
            };
        }

        private static Rules fixed(String preset, Granularity... granularities) {
            return new Rules(names(granularities), preset, true, true, false, false, false);
        }

        private static Rules changing(boolean calibrated) {
            Map<String, Granularity> names = names(Granularity.TENSOR, Granularity.TOKEN, Granularity.GROUP);
            return new Rules(names, "token", false, false, true, calibrated, false);
        }

        private Rules unsearched() {
            return new Rules(granularities, granularity, symmetric, false, says, calibrated, bounds);
        }

        private static Map<String, Granularity> names(Granularity... granularities) {
            Map<String, Granularity> names = new LinkedHashMap<>();
            for (Granularity granularity : granularities) {
                names.put(label(granularity), granularity);
            }
            return names;
        }
    }

    /** A format's one-line description and how its table is read. */
    private record Kind(String description, BiFunction<ConfigTable, Rules, NumberFormat> reader) {}

    /** The key of a format's name. */
    static final String FORMAT = "format";

    private static final Map<String, Kind> KINDS = new LinkedHashMap<>();

    static {
        KINDS.put(
                NoFormat.NAME,
                new Kind("left in float32", (table, rules) -> without(table, NoFormat.NAME, new NoFormat())));
        KINDS.put(
                IntegerFormat.NAME,
                new Kind(
                        "affine integers, scale taken from the data: bits, granularity, group_size, symmetric,"
                                + " include_zero, range, dynamic",
                        (table, rules) -> ranged(table, rules, integer(table, rules))));
        KINDS.put(
                BlockFloatFormat.NAME,
                new Kind(
                        "integers with one exponent per block, LQER's block_fp: bits, block_size, exponent_bits,"
                                + " exponent_bias, exponent_rounding, dynamic",
                        (table, rules) -> ranged(table, rules, blockFloat(table))));
        KINDS.put(
                MinifloatFormat.NAME,
                new Kind(
                        "small floating point: bits, exponent_bits, exponent_bias",
                        (table, rules) -> without(table, MinifloatFormat.NAME, minifloat(table))));
        KINDS.put(
                FixedPointFormat.NAME,
                new Kind(
                        "fixed point without a derived scale: bits, fraction_bits, signed",
                        (table, rules) -> without(table, FixedPointFormat.NAME, fixed(table))));
    }

    private Formats() {}

    /** Names and descriptions, in the order of the documentation. */
    public static Map<String, String> descriptions() {
        Map<String, String> descriptions = new LinkedHashMap<>();
        KINDS.forEach((name, kind) -> descriptions.put(name, kind.description()));
        return descriptions;
    }

    /** Reads a table whose {@code format} key says which other keys it has. */
    public static NumberFormat read(ConfigTable table, Use use) {
        return table.choice(FORMAT, KINDS).reader().apply(table, Rules.of(use));
    }

    /**
     * The format as its table in a config, on one line, with every key. No double quotes: it goes into CSV. Where a range
     * was found beforehand it has the keys {@code low} and {@code high}, which a config may not have.
     */
    public static String written(NumberFormat format) {
        return TomlWriter.inline(format.table()).replace('"', '\'');
    }

    /**
     * Reads what {@link #written} gave.
     *
     * @param source what to call the text in messages
     * @throws ConfigException if it is not such a text
     */
    public static NumberFormat parse(String written, String source) {
        ConfigTable root = ConfigTable.parse(FORMAT + " = " + written, source, List.of());
        ConfigTable table = root.requiredTable(FORMAT);
        NumberFormat format = table.choice(FORMAT, KINDS).reader().apply(table, Rules.OF_WRITTEN);
        root.finish();
        return format;
    }

    /** A constant as it is written in a table. */
    static String label(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    /** A format that takes no range from the values, and so none from calibration. */
    private static NumberFormat without(ConfigTable table, String name, NumberFormat format) {
        table.refuse(StaticFormat.DYNAMIC, name + " has no range that could come from calibration; leave it out");
        return format;
    }

    /** The format, or with a range that is found beforehand. */
    private static NumberFormat ranged(ConfigTable table, Rules rules, RangedFormat format) {
        if (!rules.says() || table.flag(StaticFormat.DYNAMIC, true)) {
            return format;
        }
        if (!rules.calibrated()) {
            table.problem(StaticFormat.DYNAMIC, "only inputs of linears have a range from calibration; leave it out");
            return format;
        }
        Optional<String> setting = format.settingForOneRange();
        if (setting.isPresent()) {
            table.problem(StaticFormat.DYNAMIC, "a range from calibration is that of all values: set " + setting.get());
            return format;
        }
        return new StaticFormat(format, rules.bounds() ? bounds(table) : Optional.empty());
    }

    private static Optional<Bounds> bounds(ConfigTable table) {
        if (!table.has(StaticFormat.LOW)) {
            return Optional.empty();
        }
        float low = (float) table.decimal(StaticFormat.LOW, -Float.MAX_VALUE, Float.MAX_VALUE);
        float high = (float) table.decimal(StaticFormat.HIGH, -Float.MAX_VALUE, Float.MAX_VALUE);
        if (low > high) {
            table.problem(StaticFormat.HIGH, "expected at least low, " + low + ", got " + high);
            return Optional.empty();
        }
        return Optional.of(new Bounds(low, high));
    }

    private static IntegerFormat integer(ConfigTable table, Rules rules) {
        int bits = table.integer("bits", 2, 16);
        Granularity granularity = table.choice("granularity", rules.granularities(), rules.granularity());
        int groupSize = granularity == Granularity.GROUP ? table.integer("group_size", 128, 1, Integer.MAX_VALUE) : 0;
        boolean symmetric = table.flag("symmetric", rules.symmetric());
        Range range = table.choice("range", Map.of("minmax", Range.MINMAX, "mse", Range.MSE), "minmax");
        if (range == Range.MSE && !rules.searched()) {
            table.problem("range", "\"mse\" is for weights: it takes hundreds of passes over the values");
            range = Range.MINMAX;
        }
        if (range == Range.MSE && bits > IntegerFormat.MOST_SEARCHED_BITS) {
            table.problem(
                    "range",
                    "\"mse\" is for up to " + IntegerFormat.MOST_SEARCHED_BITS + " bits, there are " + bits
                            + "; leave it out");
            range = Range.MINMAX;
        }
        boolean includeZero = table.flag("include_zero", true);
        if (!includeZero && (symmetric || range == Range.MSE)) {
            table.problem(
                    "include_zero",
                    "a range always contains 0 with " + (symmetric ? "symmetric = true" : "range = \"mse\"")
                            + "; leave it out");
            includeZero = true;
        }
        return new IntegerFormat(bits, granularity, groupSize, symmetric, includeZero, range);
    }

    private static BlockFloatFormat blockFloat(ConfigTable table) {
        int bits = table.integer("bits", 2, 23);
        List<Integer> blockSize = table.integers("block_size", List.of(1, 16));
        if (blockSize.isEmpty() || blockSize.size() > 2 || blockSize.stream().anyMatch(n -> n == 0 || n < -1)) {
            table.problem(
                    "block_size",
                    "expected one or two numbers, each at least 1 or -1 for the whole dimension, got " + blockSize);
            blockSize = List.of(1, 16);
        }
        int exponentBits = table.integer("exponent_bits", 8, 1, 8);
        int bias = table.integer("exponent_bias", BlockFloatFormat.defaultBias(exponentBits), 0, 255);
        Map<String, ExponentRounding> roundings = new LinkedHashMap<>();
        roundings.put("ceil", ExponentRounding.CEIL);
        roundings.put("floor", ExponentRounding.FLOOR);
        ExponentRounding rounding = table.choice("exponent_rounding", roundings, "ceil");
        return new BlockFloatFormat(bits, blockSize, exponentBits, bias, rounding);
    }

    private static NumberFormat minifloat(ConfigTable table) {
        int bits = table.integer("bits", 2, 24);
        int exponentBits = table.integer("exponent_bits", 1, 8);
        if (exponentBits >= bits) {
            table.problem("exponent_bits", "expected fewer than the " + bits + " bits there are, got " + exponentBits);
            exponentBits = 1;
        }
        int bias = table.integer("exponent_bias", BlockFloatFormat.defaultBias(exponentBits), 0, 255);
        return new MinifloatFormat(bits, exponentBits, bias);
    }

    private static NumberFormat fixed(ConfigTable table) {
        return new FixedPointFormat(
                table.integer("bits", 1, 31), table.integer("fraction_bits", -64, 64), table.flag("signed", true));
    }
}
