package dev.ptq.config;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The kind of value that a key takes, and the words for it. */
sealed interface Kind<T> {
    /** Reads a key of a table. */
    T read(ConfigTable table, String key, Preset<T> preset);

    /** Completes "expected …". */
    String expected();

    /** Describes the values in the reference. */
    default String inReference() {
        return expected();
    }

    /**
     * Returns a value as TOML has it: a string, {@code Long}, {@code Double}, {@code Boolean}, or a list or map of
     * them.
     */
    Object written(T value);

    /** Adds a lower bound. */
    default Kind<T> from(T least) {
        throw new IllegalStateException(expected() + " has no bounds, got " + least);
    }

    /** Adds an upper bound. */
    default Kind<T> to(T most) {
        throw new IllegalStateException(expected() + " has no bounds, got " + most);
    }

    /** Returns the section with the keys of a table or of a list of tables. */
    default Optional<Section> section() {
        return Optional.empty();
    }

    /** Returns the names and meanings of a choice. */
    default Optional<Choices<?>> choices() {
        return Optional.empty();
    }

    /** A single value. */
    sealed interface Scalar<T> extends Kind<T> {
        /** Returns the value as this kind, or null if it is of another kind. */
        @Nullable
        T accept(Object value);

        /** Completes "expected …"; the rejected value decides how much to say. */
        String expected(@Nullable Object got);

        /** Returns the value that a rejected one probably meant. */
        default Optional<T> meant(Object got) {
            return Optional.empty();
        }

        /** Returns the name of the value that was probably meant. */
        default Optional<?> hint(Object got) {
            return meant(got).map(this::written);
        }

        /** Returns a stand-in for a missing or rejected value, so that reading can go on. */
        T placeholder();

        @Override
        default T read(ConfigTable table, String key, Preset<T> preset) {
            return table.scalar(key, this, value(key, preset));
        }

        @Override
        default String expected() {
            return expected(null);
        }

        @Override
        default Object written(T value) {
            return value;
        }
    }

    /** A string. */
    record Text() implements Scalar<String> {
        @Override
        public @Nullable String accept(Object value) {
            return value instanceof String text ? text : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            return "a string";
        }

        @Override
        public String placeholder() {
            return "";
        }
    }

    /**
     * A string that is a path, or else a name.
     *
     * @param isName whether it is a name, whatever files there are
     */
    record Location(Predicate<String> isName) implements Scalar<String> {
        @Override
        public String read(ConfigTable table, String key, Preset<String> preset) {
            return table.location(key, this, value(key, preset));
        }

        @Override
        public @Nullable String accept(Object value) {
            return value instanceof String text ? text : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            return "a string";
        }

        @Override
        public String placeholder() {
            return "";
        }
    }

    /** True or false. */
    record Flag() implements Scalar<Boolean> {
        @Override
        public @Nullable Boolean accept(Object value) {
            return value instanceof Boolean flag ? flag : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            return "true or false";
        }

        @Override
        public Boolean placeholder() {
            return false;
        }
    }

    /**
     * Any value that a config can hold: a string, {@code Long}, {@code Double}, {@code Boolean}, or lists and maps of
     * them.
     *
     * @param inReference what the reader of the key makes of it
     */
    record Anything(String inReference) implements Scalar<Object> {
        @Override
        public @Nullable Object accept(Object value) {
            return Node.plain(value);
        }

        @Override
        public String expected(@Nullable Object got) {
            return "a string, number, true or false, a list or a table";
        }

        @Override
        public Object placeholder() {
            return "";
        }
    }

    /** A whole number within bounds. Messages mention the largest {@code long} only for numbers beyond it. */
    record LargeNumber(long min, long max) implements Scalar<Long> {
        @Override
        public @Nullable Long accept(Object value) {
            return value instanceof Long number && min <= number && number <= max ? number : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            boolean tooSmall = got instanceof Long number && number < min;
            boolean tooLarge = got instanceof Long number && number > max;
            boolean hasMin = tooSmall || (min != Integer.MIN_VALUE && min != Long.MIN_VALUE);
            boolean hasMax = tooLarge || (max != Integer.MAX_VALUE && max != Long.MAX_VALUE);
            return range("a whole number", hasMin ? "" + min : "", hasMax ? "" + max : "");
        }

        @Override
        public Long placeholder() {
            return min;
        }

        @Override
        public Kind<Long> from(Long least) {
            return new LargeNumber(least, max);
        }

        @Override
        public Kind<Long> to(Long most) {
            return new LargeNumber(min, most);
        }
    }

    /** A whole number within bounds, an {@code int}. */
    record WholeNumber(int min, int max) implements Scalar<Integer> {
        private LargeNumber range() {
            return new LargeNumber(min, max);
        }

        @Override
        public @Nullable Integer accept(Object value) {
            Long number = range().accept(value);
            return number == null ? null : (Integer) Math.toIntExact(number);
        }

        @Override
        public String expected(@Nullable Object got) {
            return range().expected(got);
        }

        @Override
        public Integer placeholder() {
            return min;
        }

        @Override
        public Object written(Integer value) {
            return value.longValue();
        }

        @Override
        public Kind<Integer> from(Integer least) {
            return new WholeNumber(least, max);
        }

        @Override
        public Kind<Integer> to(Integer most) {
            return new WholeNumber(min, most);
        }
    }

    /** A finite number within bounds, whole or not. */
    record Decimal(double min, double max) implements Scalar<Double> {
        @Override
        public @Nullable Double accept(Object value) {
            double number =
                    value instanceof Long || value instanceof Double ? ((Number) value).doubleValue() : Double.NaN;
            return Double.isFinite(number) && min <= number && number <= max ? number : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            boolean notFinite = got instanceof Double number && !Double.isFinite(number);
            return range(
                    notFinite ? "a finite number" : "a number",
                    min > -Double.MAX_VALUE ? shortest(min) : "",
                    max < Double.MAX_VALUE ? shortest(max) : "");
        }

        @Override
        public Double placeholder() {
            return min > -Double.MAX_VALUE ? min : Math.min(0, max);
        }

        @Override
        public Kind<Double> from(Double least) {
            return new Decimal(least, max);
        }

        @Override
        public Kind<Double> to(Double most) {
            return new Decimal(min, most);
        }

        private static String shortest(double bound) {
            String text = TomlWriter.inline(bound);
            return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
        }
    }

    /** One of some named values. */
    record OneOf<T>(Choices<T> names) implements Scalar<T> {
        @Override
        public @Nullable T accept(Object value) {
            return value instanceof String || value instanceof Boolean
                    ? names.value(value.toString()).orElse(null)
                    : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            return "one of [" + String.join(", ", names.sorted()) + "]";
        }

        @Override
        public Optional<T> meant(Object got) {
            return got instanceof String name
                    ? Spelling.closest(name, names.sorted()).flatMap(names::value)
                    : Optional.empty();
        }

        @Override
        public String inReference() {
            return names.names().stream()
                    .map(name -> "`" + TomlWriter.inline(asWritten(name)) + "`")
                    .collect(Collectors.joining(", "));
        }

        /** Among the names may be those of the truth values, which stand in no quotes. */
        private static Object asWritten(String name) {
            return name.equals("true") || name.equals("false") ? Boolean.valueOf(name) : name;
        }

        @Override
        public T placeholder() {
            return names.value(names.sorted().get(0)).orElseThrow();
        }

        @Override
        public Object written(T value) {
            return asWritten(names.name(value));
        }

        @Override
        public Optional<Choices<?>> choices() {
            return Optional.of(names);
        }
    }

    /** A list of single values. */
    record ListOf<T>(Scalar<T> each, String expected) implements Kind<List<T>> {
        @Override
        public List<T> read(ConfigTable table, String key, Preset<List<T>> preset) {
            return table.list(key, each, expected, value(key, preset));
        }

        @Override
        public String inReference() {
            return choices().isEmpty() ? expected : "a list of " + each.inReference();
        }

        @Override
        public Object written(List<T> value) {
            return value.stream().map(each::written).toList();
        }

        @Override
        public Optional<Choices<?>> choices() {
            return each.choices();
        }
    }

    /** A list with at least one value, each of any kind. */
    record Values() implements Kind<List<Object>> {
        @Override
        public List<Object> read(ConfigTable table, String key, Preset<List<Object>> preset) {
            return table.values(key, expected());
        }

        @Override
        public String expected() {
            return "a list of values";
        }

        @Override
        public Object written(List<Object> value) {
            return value;
        }
    }

    /**
     * A table.
     *
     * @param preset an inline table, read in place of one that is left out; empty if there is none
     */
    record Table(Section keys, String preset) implements Kind<ConfigTable> {
        @Override
        public ConfigTable read(ConfigTable table, String key, Preset<ConfigTable> unused) {
            return preset.isEmpty() ? table.table(key, keys) : table.table(key, keys, preset);
        }

        @Override
        public String expected() {
            return "a table";
        }

        @Override
        public String inReference() {
            return expected() + keys.inReference();
        }

        @Override
        public Object written(ConfigTable value) {
            return value.resolved();
        }

        @Override
        public Optional<Section> section() {
            return Optional.of(keys);
        }
    }

    /** A list of tables. */
    record Tables(Section keys) implements Kind<List<ConfigTable>> {
        @Override
        public List<ConfigTable> read(ConfigTable table, String key, Preset<List<ConfigTable>> preset) {
            return table.tables(key, keys);
        }

        @Override
        public String expected() {
            return "a list of tables";
        }

        @Override
        public String inReference() {
            return expected() + keys.inReference();
        }

        @Override
        public Object written(List<ConfigTable> value) {
            return value.stream().map(ConfigTable::resolved).toList();
        }

        @Override
        public Optional<Section> section() {
            return Optional.of(keys);
        }
    }

    /** An optional value. */
    record Maybe<T>(Kind<T> kind) implements Kind<Optional<T>> {
        @Override
        public Optional<T> read(ConfigTable table, String key, Preset<Optional<T>> preset) {
            if (!table.has(key)) {
                return Optional.empty();
            }
            T value = kind.read(table, key, new Preset.Required<>());
            boolean wrong = (kind instanceof Scalar || kind instanceof ListOf) && !table.isRead(key);
            return wrong ? Optional.empty() : Optional.of(value);
        }

        @Override
        public String expected() {
            return kind.expected();
        }

        @Override
        public String inReference() {
            return kind.inReference();
        }

        @Override
        public Object written(Optional<T> value) {
            return kind.written(value.orElseThrow());
        }

        @Override
        public Optional<Section> section() {
            return kind.section();
        }

        @Override
        public Optional<Choices<?>> choices() {
            return kind.choices();
        }
    }

    /** Returns the default; null if the key is required. */
    private static <T> @Nullable T value(String key, Preset<T> preset) {
        if (preset instanceof Preset.Decided) {
            throw new IllegalArgumentException("the default of " + key + " is for the reader to give");
        }
        return preset instanceof Preset.Value<T> given ? Objects.requireNonNull(given.value()) : null;
    }

    private static String range(String noun, String min, String max) {
        if (min.isEmpty()) {
            return max.isEmpty() ? noun : noun + " of at most " + max;
        }
        return max.isEmpty() ? noun + " of at least " + min : noun + " from " + min + " to " + max;
    }
}
