package dev.ptq.config;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * A key of a config table, declared once: its name, valid values, default and meaning. It is read with {@link
 * ConfigTable#read(Key)}, and listed in a {@link Section} for the reference.
 *
 * <pre>{@code
 * static final Key<Integer> RANK = Key.integer("rank").from(1).to(1 << 16).preset(32).says("rank of the correction");
 * static final Key<Boolean> SHUFFLE = Key.flag("shuffle").preset(false).says("whether each epoch has an order of its own");
 * static final Key<Optional<String>> NAME = Key.text("name").optional("the file's name").says("in metrics");
 * }</pre>
 *
 * <p>Keys are values: each method gives another key and leaves this one as it is. A key without a default is required.
 *
 * @param meaning Markdown for the reference, to be read after the key's name
 */
public record Key<T>(String name, Kind<T> kind, Preset<T> preset, String meaning) {
    private static <T> Key<T> required(String name, Kind<T> kind) {
        return new Key<>(name, kind, new Preset.Required<>(), "");
    }

    /** A string. */
    public static Key<String> text(String name) {
        return required(name, new Kind.Text());
    }

    /** A path: it starts at the folder of the file that it is written in, or at the current directory. */
    public static Key<String> path(String name) {
        return pathOr(name, any -> false);
    }

    /**
     * A path, or a name.
     *
     * @param isName whether a text is a name, whatever files there are
     */
    public static Key<String> pathOr(String name, Predicate<String> isName) {
        return required(name, new Kind.Location(isName));
    }

    /** A whole number; {@link #from} and {@link #to} bound it. */
    public static Key<Integer> integer(String name) {
        return required(name, new Kind.WholeNumber(Integer.MIN_VALUE, Integer.MAX_VALUE));
    }

    /** A large whole number; {@link #from} and {@link #to} bound it. */
    public static Key<Long> longInteger(String name) {
        return required(name, new Kind.LargeNumber(Long.MIN_VALUE, Long.MAX_VALUE));
    }

    /** A finite number, whole or not; {@link #from} and {@link #to} bound it. */
    public static Key<Double> decimal(String name) {
        return required(name, new Kind.Decimal(Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY));
    }

    /** True or false. */
    public static Key<Boolean> flag(String name) {
        return required(name, new Kind.Flag());
    }

    /** A name that stands for a value. */
    public static <T> Key<T> choice(String name, Choices<T> choices) {
        return required(name, new Kind.OneOf<>(choices));
    }

    /** A list of such names. */
    public static <T> Key<List<T>> choices(String name, Choices<T> choices) {
        Kind.OneOf<T> each = new Kind.OneOf<>(choices);
        return required(name, new Kind.ListOf<>(each, "a list, each " + each.expected(null)));
    }

    /** A list of whole numbers; how many is for the reader to check. */
    public static Key<List<Integer>> integers(String name) {
        Kind.WholeNumber each = new Kind.WholeNumber(Integer.MIN_VALUE, Integer.MAX_VALUE);
        return required(name, new Kind.ListOf<>(each, "a list of whole numbers"));
    }

    /** A list of strings. */
    public static Key<List<String>> strings(String name) {
        return required(name, new Kind.ListOf<>(new Kind.Text(), "a list of strings"));
    }

    /**
     * A value of any kind: a string, {@code Long}, {@code Double}, {@code Boolean}, or a list or map of them.
     *
     * @param words that describe the valid values in the reference
     */
    public static Key<Object> value(String name, String words) {
        return required(name, new Kind.Anything(words));
    }

    /** A list with at least one value, each of any kind. */
    public static Key<List<Object>> values(String name) {
        return required(name, new Kind.Values());
    }

    /** A table, inline or not. */
    public static Key<ConfigTable> table(String name, Section section) {
        return required(name, new Kind.Table(section, ""));
    }

    /**
     * A table, inline or not, with a default.
     *
     * @param preset an inline table without problems, read in place of one that is left out
     */
    public static Key<ConfigTable> table(String name, Section section, String preset) {
        return new Key<>(name, new Kind.Table(section, preset), new Preset.Decided<>("`" + preset + "`"), "");
    }

    /** A list of tables, inline or not; empty if it is left out. */
    public static Key<List<ConfigTable>> tables(String name, Section section) {
        return new Key<>(name, new Kind.Tables(section), new Preset.Absent<>(List.of(), ""), "");
    }

    /** Adds a lower bound, which is included. */
    public Key<T> from(T least) {
        return new Key<>(name, kind.from(least), preset, meaning);
    }

    /** Adds an upper bound, which is included. */
    public Key<T> to(T most) {
        return new Key<>(name, kind.to(most), preset, meaning);
    }

    /** Adds a default, which need not be within the bounds. */
    public Key<T> preset(T value) {
        kind.written(value); // a default that is no choice is our bug
        return new Key<>(name, kind, new Preset.Value<>(value), meaning);
    }

    /**
     * Makes the default depend on other things; the code that {@linkplain ConfigTable#read(Key, Object) reads} the key
     * passes it.
     *
     * @param words Markdown for the reference
     */
    public Key<T> presetIs(String words) {
        return new Key<>(name, kind, new Preset.Decided<>(words), meaning);
    }

    /**
     * Makes the key optional.
     *
     * @param words Markdown for the reference that says what holds then; may be empty
     */
    public Key<Optional<T>> optional(String words) {
        return new Key<>(name, new Kind.Maybe<>(kind), new Preset.Absent<>(Optional.empty(), words), meaning);
    }

    /** Adds a text on its meaning. */
    public Key<T> says(String text) {
        return new Key<>(name, kind, preset, text);
    }

    /** Returns the same key under another name, for tables whose names are free. */
    public Key<T> named(String other) {
        return new Key<>(other, kind, preset, meaning);
    }
}
