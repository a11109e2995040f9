package dev.ptq.format;

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

    /** A format's one-line description and how its table is read. */
    private record Kind(String description, BiFunction<ConfigTable, Use, NumberFormat> reader) {}

    private static final String FORMAT = "format";

    private static final Map<String, Kind> KINDS = new LinkedHashMap<>();

    static {
        KINDS.put("none", new Kind("left in float32", (table, use) -> new NoFormat()));
        KINDS.put(
                "int",
                new Kind(
                        "affine integers, scale taken from the data: bits, granularity, group_size, symmetric,"
                                + " include_zero, range, dynamic",
                        Formats::integer));
        KINDS.put(
                "mxint",
                new Kind(
                        "integers with one exponent per block, LQER's block_fp: bits, block_size, exponent_bits,"
                                + " exponent_bias, exponent_rounding",
                        (table, use) -> blockFloat(table)));
        KINDS.put(
                "minifloat",
                new Kind("small floating point: bits, exponent_bits, exponent_bias", (table, use) -> minifloat(table)));
        KINDS.put(
                "fixed",
                new Kind(
                        "fixed point without a derived scale: bits, fraction_bits, signed",
                        (table, use) -> fixed(table)));
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
        return table.choice(FORMAT, KINDS).reader().apply(table, use);
    }

    /** The format as its table in a config, on one line, with every key. No double quotes: it goes into CSV. */
    public static String written(NumberFormat format) {
        Map<String, Object> table = new LinkedHashMap<>();
        if (format instanceof IntegerFormat integers) {
            write(integers, table);
        } else if (format instanceof StaticIntegerFormat fixedRange) {
            write(fixedRange.integers(), table);
            table.put("dynamic", false);
        } else if (format instanceof BlockFloatFormat blocks) {
            table.put(FORMAT, "mxint");
            table.put("bits", blocks.bits());
            table.put("block_size", blocks.blockSize());
            table.put("exponent_bits", blocks.exponentBits());
            table.put("exponent_bias", blocks.exponentBias());
            table.put("exponent_rounding", label(blocks.exponentRounding()));
        } else if (format instanceof MinifloatFormat minifloat) {
            table.put(FORMAT, "minifloat");
            table.put("bits", minifloat.bits());
            table.put("exponent_bits", minifloat.exponentBits());
            table.put("exponent_bias", minifloat.exponentBias());
        } else if (format instanceof FixedPointFormat fixed) {
            table.put(FORMAT, "fixed");
            table.put("bits", fixed.bits());
            table.put("fraction_bits", fixed.fractionBits());
            table.put("signed", fixed.signed());
        } else {
            table.put(FORMAT, "none");
        }
        return TomlWriter.inline(table).replace('"', '\'');
    }

    private static void write(IntegerFormat integers, Map<String, Object> table) {
        table.put(FORMAT, "int");
        table.put("bits", integers.bits());
        table.put("granularity", label(integers.granularity()));
        if (integers.granularity() == Granularity.GROUP) {
            table.put("group_size", integers.groupSize());
        }
        table.put("symmetric", integers.symmetric());
        table.put("range", label(integers.range()));
        table.put("include_zero", integers.includeZero());
    }

    private static String label(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static NumberFormat integer(ConfigTable table, Use use) {
        int bits = table.integer("bits", 2, 16);
        boolean changing = use == Use.INPUT || use == Use.ACTIVATION;
        Map<String, Granularity> granularities = new LinkedHashMap<>();
        granularities.put("tensor", Granularity.TENSOR);
        switch (use) {
            case WEIGHT, FACTOR -> {
                granularities.put("channel", Granularity.CHANNEL);
                granularities.put("group", Granularity.GROUP);
            }
            case INPUT, ACTIVATION -> {
                granularities.put("token", Granularity.TOKEN);
                granularities.put("group", Granularity.GROUP);
            }
            case BIAS -> {}
        }
        String preset = switch (use) {
            case WEIGHT, FACTOR -> "channel";
            case INPUT, ACTIVATION -> "token";
            case BIAS -> "tensor";
        };
        Granularity granularity = table.choice("granularity", granularities, preset);
        int groupSize = granularity == Granularity.GROUP ? table.integer("group_size", 128, 1, Integer.MAX_VALUE) : 0;
        boolean symmetric = table.flag("symmetric", !changing);
        Range range = table.choice("range", Map.of("minmax", Range.MINMAX, "mse", Range.MSE), "minmax");
        if (range == Range.MSE && use != Use.WEIGHT) {
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
        boolean dynamic = !changing || table.flag("dynamic", true);
        if (!dynamic && use != Use.INPUT) {
            table.problem("dynamic", "only inputs of linears have a range from calibration; leave it out");
            dynamic = true;
        }
        if (!dynamic && granularity != Granularity.TENSOR) {
            table.problem("dynamic", "a range from calibration is that of all values: set granularity = \"tensor\"");
            dynamic = true;
        }
        IntegerFormat integers = new IntegerFormat(bits, granularity, groupSize, symmetric, includeZero, range);
        return dynamic ? integers : new StaticIntegerFormat(integers, Optional.empty());
    }

    private static NumberFormat blockFloat(ConfigTable table) {
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
