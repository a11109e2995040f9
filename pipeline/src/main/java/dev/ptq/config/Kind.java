package dev.ptq.config;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** What a single value may be, and the words for it. */
sealed interface Kind<T> {
    /** The value as this kind, or null if it is not of this kind. */
    @Nullable
    T accept(Object value);

    /** Completes "expected …"; the rejected value decides how much must be said. */
    String expected(@Nullable Object got);

    /** The value that was probably meant by a rejected one. */
    default Optional<T> meant(Object got) {
        return Optional.empty();
    }

    /** Stands in for a value that is missing or rejected, so that reading can go on. */
    T placeholder();

    /** A string. */
    record Text() implements Kind<String> {
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
    record Flag() implements Kind<Boolean> {
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

    /** Whatever a config can hold: a string, {@code Long}, {@code Double}, {@code Boolean}, or lists and maps of them. */
    record Anything() implements Kind<Object> {
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

    /** A whole number within bounds. The largest {@code int} or {@code long} is said only to who went beyond it. */
    record WholeNumber(long min, long max) implements Kind<Long> {
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
    }

    /** A finite number within bounds; whole numbers too. */
    record Decimal(double min, double max) implements Kind<Double> {
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

        private static String shortest(double bound) {
            String text = TomlWriter.inline(bound);
            return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
        }
    }

    /** One of some names. */
    record OneOf(List<String> names) implements Kind<String> {
        @Override
        public @Nullable String accept(Object value) {
            return value instanceof String name && names.contains(name) ? name : null;
        }

        @Override
        public String expected(@Nullable Object got) {
            return "one of [" + String.join(", ", names) + "]";
        }

        @Override
        public Optional<String> meant(Object got) {
            return got instanceof String name ? Spelling.closest(name, names) : Optional.empty();
        }

        @Override
        public String placeholder() {
            return names.get(0);
        }
    }

    private static String range(String noun, String min, String max) {
        if (min.isEmpty()) {
            return max.isEmpty() ? noun : noun + " of at most " + max;
        }
        return max.isEmpty() ? noun + " of at least " + min : noun + " from " + min + " to " + max;
    }
}
