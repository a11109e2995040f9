package dev.ptq.format;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.config.Section;
import dev.ptq.config.TomlWriter;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;

/** The number formats by their names in configs. */
public final class Formats {
    /** The use of a format, which decides which values can share an integer scale. */
    public enum Use {
        /** A linear weight. */
        WEIGHT,
        /** A weight by itself, of which no linear is known. */
        TENSOR,
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
     * The options that a table has for integers and static ranges.
     *
     * @param granularities the valid ones, the preset first
     * @param ofStatic those of a static range, likewise; an invalid one has a reason of its own
     * @param symmetric the preset
     * @param searched whether a range can be searched for
     * @param says whether the table may say {@code dynamic}
     * @param calibrated whether there may be a range from calibration
     * @param bounds whether the table may have that range
     * @param ofLinear whether the value is a weight of a linear, whose input and neighbours may be known
     */
    record Rules(
            List<Granularity> granularities,
            List<Granularity> ofStatic,
            boolean symmetric,
            boolean searched,
            boolean says,
            boolean calibrated,
            boolean bounds,
            boolean ofLinear) {
        /** For the output of {@link #written}, which has every key. */
        static final Rules OF_WRITTEN = new Rules(
                List.of(Granularity.values()), List.of(Granularity.values()), true, true, true, true, true, true);

        private static final List<Granularity> OF_INPUTS =
                List.of(Granularity.TENSOR, Granularity.CHANNEL, Granularity.TOKEN, Granularity.GROUP);

        static Rules of(Use use) {
            return switch (use) {
                case WEIGHT -> ofWeight(true, true);
                case TENSOR -> ofWeight(true, false);
                case FACTOR -> ofWeight(false, false);
                case BIAS -> fixed(false, false, Granularity.TENSOR);
                case INPUT -> changing(true);
                case ACTIVATION -> changing(false);
            };
        }

        private static Rules ofWeight(boolean searched, boolean ofLinear) {
            return fixed(searched, ofLinear, Granularity.CHANNEL, Granularity.TENSOR, Granularity.GROUP);
        }

        private static Rules fixed(boolean searched, boolean ofLinear, Granularity... granularities) {
            return new Rules(List.of(granularities), List.of(), true, searched, false, false, false, ofLinear);
        }

        private static Rules changing(boolean calibrated) {
            List<Granularity> granularities = List.of(Granularity.TOKEN, Granularity.TENSOR, Granularity.GROUP);
            return new Rules(granularities, OF_INPUTS, false, false, true, calibrated, false, false);
        }

        /**
         * The rules of a cache. Per channel, a dynamic range is that of a row, whose values all share a scale, and a static
         * one that of a channel.
         */
        static Rules ofCache(boolean perChannel) {
            return perChannel
                    ? new Rules(
                            List.of(Granularity.TOKEN),
                            List.of(Granularity.CHANNEL),
                            false,
                            false,
                            true,
                            true,
                            false,
                            false)
                    : changing(true);
        }

        /** Returns whether values can share a scale by output features. */
        boolean hasChannels() {
            return granularities.contains(Granularity.CHANNEL);
        }

        /** Returns whether the values change with every token. */
        boolean change() {
            return says && !bounds;
        }

        /** Returns whether a static range is always that of a channel. */
        boolean rangesAreOfChannels() {
            return ofStatic.equals(List.of(Granularity.CHANNEL));
        }

        /** Returns the granularities of a static range, or else of all others, the preset first. */
        List<Granularity> granularities(boolean isStatic) {
            return isStatic ? ofStatic : granularities;
        }
    }

    /** The keys of a format besides its name, and their reader. */
    private record Kind(Keys keys, BiFunction<ConfigTable, Rules, NumberFormat> reader) {
        static Kind mx(SmallFloat element) {
            return new Kind(
                    Keys.of(FormatKeys.MX_BLOCK_SIZE, FormatKeys.SCALE_RULE, FormatKeys.TIES, FormatKeys.FLUSH),
                    (table, rules) -> without(table, MxFormat.name(element), MxFormat.read(table, element)));
        }

        static Kind fp8(SmallFloat element) {
            return new Kind(
                    Keys.of(
                            FormatKeys.FP8_GRANULARITY,
                            FormatKeys.FP8_BLOCK_SIZE,
                            FormatKeys.FP8_RULE,
                            FormatKeys.DYNAMIC,
                            FormatKeys.STATIC_RANGE,
                            FormatKeys.PERCENTILE),
                    (table, rules) -> ranged(table, rules, RuleKey.OF_OTHERS, Fp8Format.read(table, rules, element)));
        }

        /** Returns the keys of a table from {@link #written}, including those of a static range or tensor scale. */
        Keys writtenKeys() {
            Keys written = keys.all().contains(FormatKeys.TENSOR_SCALE) ? keys.and(FormatKeys.AMAX) : keys;
            return keys.all().contains(FormatKeys.DYNAMIC) ? written.and(FormatKeys.LOW, FormatKeys.HIGH) : written;
        }
    }

    private static final String OF_PERCENTILE =
            "only range = \"percentile\", of an activation with dynamic = false, has one; leave it out";

    /** The key of a format's name. */
    static final String FORMAT = "format";

    private static final Keys NORMAL =
            Keys.of(FormatKeys.NORMAL_BLOCK_SIZE, FormatKeys.DOUBLE_QUANTIZATION, FormatKeys.DOUBLE_BLOCK_SIZE);

    private static final Choices<Kind> KINDS = Choices.of(
                    NoFormat.NAME,
                    new Kind(Keys.of(), (table, rules) -> without(table, NoFormat.NAME, new NoFormat())),
                    "left in float32")
            .and(
                    IntegerFormat.NAME,
                    new Kind(
                            Keys.of(
                                    FormatKeys.INT_BITS,
                                    FormatKeys.GRANULARITY,
                                    FormatKeys.GROUP_SIZE,
                                    FormatKeys.SYMMETRIC,
                                    FormatKeys.INCLUDE_ZERO,
                                    FormatKeys.RANGE,
                                    FormatKeys.PERCENTILE,
                                    FormatKeys.DYNAMIC,
                                    FormatKeys.GRID,
                                    FormatKeys.MAPPING,
                                    FormatKeys.SCALE_DTYPE),
                            (table, rules) -> scaled(
                                    table, rules, ranged(table, rules, RuleKey.OF_INTEGERS, integer(table, rules)))),
                    "affine integers, scale taken from the data")
            .and(
                    BlockFloatFormat.NAME,
                    new Kind(
                            Keys.of(
                                    FormatKeys.MXINT_BITS,
                                    FormatKeys.BLOCK_SIZE,
                                    FormatKeys.BLOCK_EXPONENT_BITS,
                                    FormatKeys.EXPONENT_BIAS,
                                    FormatKeys.EXPONENT_ROUNDING,
                                    FormatKeys.DYNAMIC,
                                    FormatKeys.STATIC_RANGE,
                                    FormatKeys.PERCENTILE),
                            (table, rules) -> ranged(table, rules, RuleKey.OF_OTHERS, blockFloat(table))),
                    "integers with one exponent per block, LQER's block_fp")
            .and(
                    MinifloatFormat.NAME,
                    new Kind(
                            Keys.of(
                                    FormatKeys.MINIFLOAT_BITS,
                                    FormatKeys.MINIFLOAT_EXPONENT_BITS,
                                    FormatKeys.EXPONENT_BIAS),
                            (table, rules) -> without(table, MinifloatFormat.NAME, minifloat(table))),
                    "small floating point, bit for bit LQER's minifloat")
            .and(
                    FixedPointFormat.NAME,
                    new Kind(
                            Keys.of(FormatKeys.FIXED_BITS, FormatKeys.FRACTION_BITS, FormatKeys.SIGNED),
                            (table, rules) -> without(table, FixedPointFormat.NAME, fixed(table))),
                    "fixed point without a derived scale, bit for bit LQER's integer")
            .and(
                    MxFormat.name(SmallFloat.E4M3),
                    Kind.mx(SmallFloat.E4M3),
                    "OCP MX: a power of two per block of 32, E4M3 elements")
            .and(MxFormat.name(SmallFloat.E5M2), Kind.mx(SmallFloat.E5M2), "the same with E5M2 elements")
            .and(MxFormat.name(SmallFloat.E3M2), Kind.mx(SmallFloat.E3M2), "the same with 6 bits, E3M2 elements")
            .and(MxFormat.name(SmallFloat.E2M3), Kind.mx(SmallFloat.E2M3), "the same with 6 bits, E2M3 elements")
            .and(MxFormat.name(SmallFloat.E2M1), Kind.mx(SmallFloat.E2M1), "the same with 4 bits, E2M1 elements")
            .and(MxFormat.name(SmallFloat.INT8), Kind.mx(SmallFloat.INT8), "the same with 64ths of 8 bits")
            .and(
                    Fp8Format.name(SmallFloat.E4M3),
                    Kind.fp8(SmallFloat.E4M3),
                    "FP8 up to 448, float32 scale taken from the data")
            .and(Fp8Format.name(SmallFloat.E5M2), Kind.fp8(SmallFloat.E5M2), "the same up to 57344, E5M2")
            .and(
                    Nvfp4Format.NAME,
                    new Kind(
                            Keys.of(
                                    FormatKeys.NVFP4_RULE,
                                    FormatKeys.TENSOR_SCALE,
                                    FormatKeys.FOUR_OVER_SIX,
                                    FormatKeys.NVFP4_RANGE,
                                    FormatKeys.PERCENTILE,
                                    FormatKeys.DYNAMIC,
                                    FormatKeys.SHARED_SCALE),
                            (table, rules) -> ranged(table, rules, RuleKey.OF_NVFP4, Nvfp4Format.read(table, rules))),
                    "NVFP4: E2M1 elements, an E4M3 scale per block of 16, a float32 scale")
            .and(
                    NormalFloatFormat.NAMES.get(0),
                    new Kind(NORMAL.and(FormatKeys.NORMAL_RULE), (table, rules) -> normalFloat(table, rules, 4)),
                    "16 quantiles of the normal distribution, as in QLoRA")
            .and(
                    NormalFloatFormat.NAMES.get(1),
                    new Kind(NORMAL, (table, rules) -> normalFloat(table, rules, 3)),
                    "8 quantiles, as in LoftQ")
            .and(
                    NormalFloatFormat.NAMES.get(2),
                    new Kind(NORMAL, (table, rules) -> normalFloat(table, rules, 2)),
                    "4 quantiles, as in LoftQ")
            .and(
                    HqqFormat.NAME,
                    new Kind(
                            HqqKeys.KEYS, (table, rules) -> without(table, HqqFormat.NAME, HqqKeys.read(table, rules))),
                    "integers with zero points found by HQQ's solver, without calibration")
            .and(
                    LlmInt8Format.NAME,
                    new Kind(
                            LlmInt8Format.KEYS,
                            (table, rules) -> without(table, LlmInt8Format.NAME, LlmInt8Format.read(table, rules))),
                    "integers but for features with outliers, as in LLM.int8()")
            .and(
                    TernaryFormat.NAME,
                    new Kind(
                            Keys.of(FormatKeys.GRANULARITY, FormatKeys.GROUP_SIZE, FormatKeys.TERNARY_SCALE),
                            (table, rules) -> without(table, TernaryFormat.NAME, ternary(table, rules))),
                    "-1, 0 and 1 times a scale; a code takes two bits");

    private static final Key<Kind> NAME = Key.choice(FORMAT, KINDS).says("the format; it decides the other keys");

    /** The keys of a format's table. */
    public static final Section SECTION = Section.choosing("format", NAME, KINDS, Kind::keys);

    /** The keys of the table of a cache's format. */
    public static final Section CACHE =
            Section.extending("cache format", SECTION, FormatKeys.PER_CHANNEL, FormatKeys.TOKENS);

    private static final Key<ConfigTable> INLINE = inline(SECTION);

    /** A format from {@link #written}. */
    private static final Key<ConfigTable> WRITTEN =
            inline(Section.choosing("written format", NAME, KINDS, Kind::writtenKeys));

    private Formats() {}

    private static Key<ConfigTable> inline(Section section) {
        return Key.table(FORMAT, section).says("a format by itself");
    }

    /** Returns names and descriptions, in the order of the documentation, with each format's keys. */
    public static Map<String, String> descriptions() {
        Map<String, String> descriptions = new LinkedHashMap<>();
        KINDS.texts().forEach((name, text) -> {
            List<String> keys = SECTION.variants().getOrDefault(name, Keys.of()).all().stream()
                    .map(Key::name)
                    .toList();
            descriptions.put(name, keys.isEmpty() ? text : text + ": " + String.join(", ", keys));
        });
        return descriptions;
    }

    /** Reads a table whose {@code format} key says which other keys it has. */
    public static NumberFormat read(ConfigTable table, Use use) {
        return read(table, Rules.of(use));
    }

    private static NumberFormat read(ConfigTable table, Rules rules) {
        return table.read(NAME).reader().apply(table, rules);
    }

    /** Reads a format of keys or values in a cache, whose rows grow in number and are rounded apart. */
    public static CacheFormat readCache(ConfigTable table) {
        boolean perChannel = table.read(FormatKeys.PER_CHANNEL);
        NumberFormat format = read(table, Rules.ofCache(perChannel));
        if (table.has(FormatKeys.DYNAMIC) && !table.read(FormatKeys.DYNAMIC)) {
            return staticCache(table, perChannel, format);
        }
        Optional<String> setting = format instanceof GridFormat grid ? grid.settingForRows() : Optional.empty();
        if (setting.isPresent()) {
            table.problem(
                    "tokens would share what they are rounded by, so a later token would change earlier predictions;"
                            + " set " + setting.get());
            return CacheFormat.none();
        }
        if (perChannel) {
            return new CacheFormat(format, table.read(FormatKeys.TOKENS));
        }
        if (!format.table().containsKey(FormatKeys.GROUP_SIZE.name())) {
            table.refuse(FormatKeys.TOKENS, "only with per = \"channel\" are tokens rounded in groups; leave it out");
        }
        return new CacheFormat(format, 0);
    }

    /** Returns a cache format with ranges from calibration, unless something is wrong with it. */
    private static CacheFormat staticCache(ConfigTable table, boolean perChannel, NumberFormat format) {
        if (!(format instanceof StaticFormat known)) {
            return CacheFormat.none();
        }
        table.refuse(
                FormatKeys.TOKENS,
                "with a range from calibration a token is rounded as soon as it is there, without a group; leave it out");
        if (!perChannel && known.format().hasRangePerFeature()) {
            table.problem(
                    FormatKeys.PER_CHANNEL,
                    "a range for each channel of each head is that of per = \"channel\"; set that, and leave"
                            + " granularity out");
        }
        return new CacheFormat(known, 0);
    }

    /**
     * Reads an inline table, as it would follow {@code format =} in a file.
     *
     * @param source its name in messages
     * @throws ConfigException with all problems, if there are any
     */
    public static NumberFormat parse(String table, String source, Use use) {
        return parse(table, source, INLINE, Rules.of(use));
    }

    /**
     * Returns the format as its table in a config, on one line, with every key, and without double quotes, as it goes
     * into CSV. A static range adds the keys {@code low} and {@code high}, which a config may not have.
     */
    public static String written(NumberFormat format) {
        return TomlWriter.inline(format.table()).replace('"', '\'');
    }

    /**
     * Reads the output of {@link #written}.
     *
     * @param source the name of the text in messages
     * @throws ConfigException if it is not such a text
     */
    public static NumberFormat parse(String written, String source) {
        return parse(written, source, WRITTEN, Rules.OF_WRITTEN);
    }

    private static NumberFormat parse(String inline, String source, Key<ConfigTable> key, Rules rules) {
        ConfigTable root = ConfigTable.parse(FORMAT + " = " + inline, source, List.of(), Section.of("a format", key));
        NumberFormat format = read(root.read(key), rules);
        root.finish();
        return format;
    }

    /** Returns the name of a constant in a table. */
    static String label(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    /** Returns a format that takes no range from the values, and so none from calibration. */
    private static NumberFormat without(ConfigTable table, String name, NumberFormat format) {
        table.refuse(FormatKeys.DYNAMIC, name + " has no range that could come from calibration; leave it out");
        return format;
    }

    /** Returns whether the table asks for a range from calibration. */
    static boolean isStatic(ConfigTable table, Rules rules) {
        return rules.says() && !table.read(FormatKeys.DYNAMIC);
    }

    /** Returns what is wrong with a rule that is only for ranges from calibration. */
    static String onlyStatic(Enum<?> rule) {
        return "\"" + label(rule)
                + "\" is found in calibration; set dynamic = false, of an activation, or leave it out";
    }

    /** A format's key of the rule for its range, and the rule that a value of it is. */
    private record RuleKey<T>(Key<T> key, Function<T, Range> rule) {
        static final RuleKey<Range> OF_INTEGERS = new RuleKey<>(FormatKeys.RANGE, Function.identity());
        static final RuleKey<Range> OF_OTHERS = new RuleKey<>(FormatKeys.STATIC_RANGE, Function.identity());
        static final RuleKey<Nvfp4Format.Range> OF_NVFP4 =
                new RuleKey<>(FormatKeys.NVFP4_RANGE, Nvfp4Format.Range::ofTensor);

        Range read(ConfigTable table) {
            return rule.apply(table.read(key));
        }
    }

    /** Returns the format, with a static range if the table asks for one. */
    private static NumberFormat ranged(ConfigTable table, Rules rules, RuleKey<?> range, RangedFormat format) {
        if (!isStatic(table, rules)) {
            table.refuse(FormatKeys.PERCENTILE, OF_PERCENTILE);
            if (range.key().equals(FormatKeys.STATIC_RANGE)) {
                table.refuse(range.key(), "only a range of dynamic = false is found by a rule; leave it out");
            }
            return format;
        }
        if (!rules.calibrated()) {
            table.problem(
                    FormatKeys.DYNAMIC,
                    "only inputs of linears and the cache of keys and values have a range from calibration; leave it"
                            + " out");
            return format;
        }
        if (rules.rangesAreOfChannels() && !format.hasRangePerFeature()) {
            table.problem(
                    FormatKeys.DYNAMIC,
                    "of this format a range from calibration is that of all values, not of a channel: set per ="
                            + " \"token\", or take int or fp8");
            return format;
        }
        Optional<String> setting = format.settingForOneRange();
        if (setting.isPresent()) {
            table.problem(FormatKeys.DYNAMIC, "a range from calibration is that of all values: set " + setting.get());
            return format;
        }
        Range rule = range.read(table);
        Optional<String> problem = StaticFormat.problem(format, rule);
        if (problem.isPresent()) {
            table.problem(range.key(), problem.get());
            return format;
        }
        return withRange(table, rules, rule, format);
    }

    private static StaticFormat withRange(ConfigTable table, Rules rules, Range rule, RangedFormat format) {
        boolean hasPercentile = rule == Range.PERCENTILE;
        if (!hasPercentile) {
            table.refuse(FormatKeys.PERCENTILE, OF_PERCENTILE);
        }
        StaticFormat found =
                StaticFormat.by(rule, hasPercentile ? table.read(FormatKeys.PERCENTILE) : StaticFormat.ALL, format);
        Optional<Bounds> bounds = rules.bounds() ? bounds(table) : Optional.empty();
        return bounds.map(known -> found.withRanges(List.of(known))).orElse(found);
    }

    private static Optional<Bounds> bounds(ConfigTable table) {
        if (!table.has(FormatKeys.LOW)) {
            return Optional.empty();
        }
        float low = table.read(FormatKeys.LOW).floatValue();
        float high = table.read(FormatKeys.HIGH).floatValue();
        if (low > high) {
            table.problem(FormatKeys.HIGH, "expected at least low, " + low + ", got " + high);
            return Optional.empty();
        }
        return Optional.of(new Bounds(low, high));
    }

    private static NumberFormat scaled(ConfigTable table, Rules rules, NumberFormat integers) {
        if (table.read(FormatKeys.SCALE_DTYPE) == HalfScaleFormat.ScaleType.FLOAT32) {
            return integers;
        }
        if (!rules.hasChannels() || rules.change() || integers instanceof StaticFormat) {
            table.problem(FormatKeys.SCALE_DTYPE, "only weights and low-rank factors have stored scales; leave it out");
            return integers;
        }
        return new HalfScaleFormat(integers);
    }

    private static RangedFormat integer(ConfigTable table, Rules rules) {
        int bits = table.read(FormatKeys.INT_BITS);
        Granularity granularity = granularity(table, rules, isStatic(table, rules));
        int groupSize = groupSize(table, granularity);
        IntegerGrid grid = table.read(FormatKeys.GRID);
        if (grid == IntegerGrid.NARROW) {
            table.refuse(FormatKeys.MAPPING, "only grid = \"torchao\" has mappings; leave it out");
            return narrow(table, rules, bits, granularity, groupSize);
        }
        Mapping mapping = mapping(table, rules, grid);
        table.refuse(FormatKeys.INCLUDE_ZERO, "only grid = \"narrow\" has this choice; leave it out");
        Range range = range(table, rules);
        if (range == Range.MSE) {
            table.problem(
                    FormatKeys.RANGE,
                    "\"mse\" is for grid = \"narrow\"; take \"gptq_mse\" or \"compressed_tensors_mse\"");
            range = Range.MINMAX;
        }
        return new IntegerGridFormat(bits, granularity, groupSize, grid, mapping, range);
    }

    private static IntegerFormat narrow(
            ConfigTable table, Rules rules, int bits, Granularity granularity, int groupSize) {
        boolean symmetric = table.read(FormatKeys.SYMMETRIC, rules.symmetric());
        Range range = range(table, rules);
        if (range == Range.MSE && bits > IntegerFormat.MOST_SEARCHED_BITS) {
            table.problem(
                    FormatKeys.RANGE,
                    "\"mse\" is for up to " + IntegerFormat.MOST_SEARCHED_BITS + " bits, there are " + bits
                            + "; leave it out");
            range = Range.MINMAX;
        }
        if (range != Range.MSE && range != Range.MINMAX) {
            table.problem(
                    FormatKeys.RANGE,
                    "\"" + label(range) + "\" is not for grid = \"narrow\"; set another grid, such as \"gptq\", or"
                            + " range = \"mse\"");
            range = Range.MINMAX;
        }
        boolean includeZero = table.read(FormatKeys.INCLUDE_ZERO);
        if (!includeZero && (symmetric || range == Range.MSE)) {
            table.problem(
                    FormatKeys.INCLUDE_ZERO,
                    "a range always contains 0 with " + (symmetric ? "symmetric = true" : "range = \"mse\"")
                            + "; leave it out");
            includeZero = true;
        }
        return new IntegerFormat(bits, granularity, groupSize, symmetric, includeZero, range);
    }

    private static Granularity granularity(ConfigTable table, Rules rules, boolean isStatic) {
        List<Granularity> valid = rules.granularities(isStatic);
        return table.read(FormatKeys.GRANULARITY, FormatKeys.GRANULARITIES.only(valid), valid.get(0));
    }

    private static int groupSize(ConfigTable table, Granularity granularity) {
        return granularity == Granularity.GROUP ? table.read(FormatKeys.GROUP_SIZE) : 0;
    }

    private static Range range(ConfigTable table, Rules rules) {
        if (isStatic(table, rules)) {
            return Range.MINMAX;
        }
        Range range = table.read(FormatKeys.RANGE);
        if (range == Range.PERCENTILE || range == Range.MOVING_AVERAGE) {
            table.problem(FormatKeys.RANGE, onlyStatic(range));
            return Range.MINMAX;
        }
        if (range == Range.IMATRIX_MSE && !rules.ofLinear()) {
            table.problem(
                    FormatKeys.RANGE,
                    "\"imatrix_mse\" weighs errors by the input of a linear, so it is for weights of linears only");
            return Range.MINMAX;
        }
        if (range != Range.MINMAX && !rules.searched()) {
            table.problem(
                    FormatKeys.RANGE,
                    "\"" + label(range) + "\" is for weights: it takes " + (range == Range.MSE ? "hundreds" : "dozens")
                            + " of passes over the values");
            return Range.MINMAX;
        }
        return range;
    }

    private static Mapping mapping(ConfigTable table, Rules rules, IntegerGrid grid) {
        Mapping preset = rules.symmetric() ? Mapping.SYMMETRIC : Mapping.ASYMMETRIC;
        if (grid == IntegerGrid.TORCHAO) {
            table.refuse(FormatKeys.SYMMETRIC, "with grid = \"torchao\" set mapping instead");
            return table.read(FormatKeys.MAPPING, preset);
        }
        table.refuse(FormatKeys.MAPPING, "only grid = \"torchao\" has mappings; set symmetric instead");
        return table.read(FormatKeys.SYMMETRIC, rules.symmetric()) ? Mapping.SYMMETRIC : Mapping.ASYMMETRIC;
    }

    private static NumberFormat normalFloat(ConfigTable table, Rules rules, int bits) {
        int blockSize = table.read(FormatKeys.NORMAL_BLOCK_SIZE);
        NormalFloatFormat.Rule rule = bits == 4 ? table.read(FormatKeys.NORMAL_RULE) : NormalFloatFormat.Rule.PEFT;
        boolean isDouble = isDouble(table, rules, rule);
        int doubleBlockSize = isDouble ? table.read(FormatKeys.DOUBLE_BLOCK_SIZE) : 0;
        NumberFormat format = new NormalFloatFormat(bits, blockSize, doubleBlockSize, rule);
        return without(table, NormalFloatFormat.NAMES.get(4 - bits), format);
    }

    private static boolean isDouble(ConfigTable table, Rules rules, NormalFloatFormat.Rule rule) {
        String everyToken =
                "double quantization takes the mean over a whole weight; activations change with every token: ";
        if (rule == NormalFloatFormat.Rule.TORCHAO) {
            table.refuse(FormatKeys.DOUBLE_QUANTIZATION, "rule = \"torchao\" is always doubly quantized; leave it out");
            if (rules.change()) {
                table.problem(FormatKeys.NORMAL_RULE, everyToken + "take rule = \"bitsandbytes\"");
            }
            return true;
        }
        boolean isDouble = table.read(FormatKeys.DOUBLE_QUANTIZATION, false);
        if (isDouble && rules.change()) {
            table.problem(FormatKeys.DOUBLE_QUANTIZATION, everyToken + "leave it out");
        }
        return isDouble;
    }

    private static NumberFormat ternary(ConfigTable table, Rules rules) {
        Granularity granularity = granularity(table, rules, false);
        return new TernaryFormat(granularity, groupSize(table, granularity), table.read(FormatKeys.TERNARY_SCALE));
    }

    private static BlockFloatFormat blockFloat(ConfigTable table) {
        int bits = table.read(FormatKeys.MXINT_BITS);
        List<Integer> blockSize = table.read(FormatKeys.BLOCK_SIZE);
        if (blockSize.isEmpty() || blockSize.size() > 2 || blockSize.stream().anyMatch(n -> n == 0 || n < -1)) {
            table.problem(
                    FormatKeys.BLOCK_SIZE,
                    "expected one or two numbers, each at least 1 or -1 for the whole dimension, got " + blockSize);
            blockSize = List.of(1, 16);
        }
        int exponentBits = table.read(FormatKeys.BLOCK_EXPONENT_BITS);
        int bias = table.read(FormatKeys.EXPONENT_BIAS, BlockFloatFormat.defaultBias(exponentBits));
        return new BlockFloatFormat(bits, blockSize, exponentBits, bias, table.read(FormatKeys.EXPONENT_ROUNDING));
    }

    private static NumberFormat minifloat(ConfigTable table) {
        int bits = table.read(FormatKeys.MINIFLOAT_BITS);
        int exponentBits = table.read(FormatKeys.MINIFLOAT_EXPONENT_BITS);
        if (exponentBits >= bits) {
            table.problem(
                    FormatKeys.MINIFLOAT_EXPONENT_BITS,
                    "expected fewer than the " + bits + " bits there are, got " + exponentBits);
            exponentBits = 1;
        }
        int bias = table.read(FormatKeys.EXPONENT_BIAS, BlockFloatFormat.defaultBias(exponentBits));
        return new MinifloatFormat(bits, exponentBits, bias);
    }

    private static NumberFormat fixed(ConfigTable table) {
        return new FixedPointFormat(
                table.read(FormatKeys.FIXED_BITS), table.read(FormatKeys.FRACTION_BITS), table.read(FormatKeys.SIGNED));
    }
}
