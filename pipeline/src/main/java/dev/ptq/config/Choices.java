package dev.ptq.config;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * The names of some values in configs, each with a line of Markdown about it, in the order of the reference.
 *
 * <pre>{@code
 * Choices<Layout> layouts = Choices.of("document", Layout.DOCUMENT, "one row").and("lines", Layout.LINES, "a row each");
 * }</pre>
 */
public final class Choices<T> {
    private final Map<String, T> values;
    private final Map<String, String> texts;

    private Choices(Map<String, T> values, Map<String, String> texts) {
        this.values = values;
        this.texts = texts;
    }

    /**
     * Starts a list of choices.
     *
     * @param text what it means; empty if the name says it all
     */
    public static <T> Choices<T> of(String name, T value, String text) {
        return new Choices<>(Map.of(name, value), Map.of(name, text));
    }

    /** Returns the constants of an enum, by their names and texts. */
    public static <E> Choices<E> of(E[] constants, Function<E, String> name, Function<E, String> text) {
        Map<String, E> values = new LinkedHashMap<>();
        Map<String, String> texts = new LinkedHashMap<>();
        for (E constant : constants) {
            values.put(name.apply(constant), constant);
            texts.put(name.apply(constant), text.apply(constant));
        }
        return new Choices<>(values, texts);
    }

    /** Adds a choice. */
    public Choices<T> and(String name, T value, String text) {
        Map<String, T> more = new LinkedHashMap<>(values);
        Map<String, String> moreTexts = new LinkedHashMap<>(texts);
        more.put(name, value);
        moreTexts.put(name, text);
        return new Choices<>(more, moreTexts);
    }

    /** Returns the choices for the given values only. */
    public Choices<T> only(Collection<T> some) {
        Map<String, T> fewer = new LinkedHashMap<>(values);
        fewer.values().retainAll(some);
        return new Choices<>(fewer, texts);
    }

    /** Returns the names, in the order of the reference. */
    public List<String> names() {
        return List.copyOf(values.keySet());
    }

    /** Returns the names and their meanings, in the order of the reference. */
    public Map<String, String> texts() {
        Map<String, String> shown = new LinkedHashMap<>(texts);
        shown.keySet().retainAll(values.keySet());
        return Collections.unmodifiableMap(shown);
    }

    /** Returns the value that a name stands for. */
    public Optional<T> value(String name) {
        return Optional.ofNullable(values.get(name));
    }

    /**
     * Returns the name of a value.
     *
     * @throws IllegalArgumentException if it has none
     */
    public String name(T value) {
        return values.entrySet().stream()
                .filter(entry -> entry.getValue().equals(value))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("not among the choices " + names() + ": " + value));
    }

    /** Returns the names sorted, as messages list them. */
    List<String> sorted() {
        List<String> sorted = new ArrayList<>(values.keySet());
        Collections.sort(sorted);
        return sorted;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Choices<?> choices && values.equals(choices.values) && texts.equals(choices.texts);
    }

    @Override
    public int hashCode() {
        return values.hashCode();
    }
}
