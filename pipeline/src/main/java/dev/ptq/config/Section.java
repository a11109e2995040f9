package dev.ptq.config;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The keys that a table may have, in the order of the reference. A {@link ConfigTable} reads no others.
 *
 * <p>One key may select others: the {@code method} of a step decides which keys the step has. These are the section's
 * variants.
 */
public final class Section {
    private final String title;
    private final Keys keys;
    private final Map<String, Keys> variants;
    private final List<Key<?>> each;
    private final Optional<Section> extended;

    private Section(
            String title, Keys keys, Map<String, Keys> variants, List<Key<?>> each, Optional<Section> extended) {
        this.title = title;
        this.keys = keys;
        this.variants = variants;
        this.each = each;
        this.extended = extended;
        allKeys().filter(key -> key.meaning().isBlank()).forEach(key -> {
            throw new IllegalArgumentException(
                    "section " + title + ": key " + key.name() + " does not say what it means");
        });
    }

    /**
     * A section with the same keys in every table.
     *
     * @param title its name in the reference
     * @throws IllegalArgumentException if a key has no text
     */
    public static Section of(String title, Key<?>... keys) {
        return of(title, Keys.of(keys));
    }

    /**
     * A section with the same keys in every table.
     *
     * @param title its name in the reference
     * @throws IllegalArgumentException if a key has no text
     */
    public static Section of(String title, Keys keys) {
        return new Section(title, keys, Map.of(), List.of(), Optional.empty());
    }

    /**
     * A section in which one key selects others.
     *
     * @param others the keys that come with a choice
     */
    public static <T> Section choosing(String title, Key<T> chooser, Choices<T> choices, Function<T, Keys> others) {
        Map<String, Keys> variants = new LinkedHashMap<>();
        choices.names()
                .forEach(name ->
                        variants.put(name, others.apply(choices.value(name).orElseThrow())));
        return new Section(title, Keys.of(chooser), variants, List.of(), Optional.empty());
    }

    /**
     * A section whose keys may have any name.
     *
     * @param each keys whose names represent them in the reference, one for each kind of value
     */
    public static Section ofNames(String title, Key<?>... each) {
        return new Section(title, Keys.of(), Map.of(), List.of(each), Optional.empty());
    }

    /**
     * The same section with further keys, which may have any name that the reader of the table knows.
     *
     * @param each key whose name represents them in the reference
     */
    public Section withNames(Key<?> each) {
        return new Section(title, keys, variants, List.of(each), extended);
    }

    /**
     * A section with all keys of another and some more; only these are its own in the reference.
     *
     * @param more keys that every table has
     */
    public static Section extending(String title, Section extended, Key<?>... more) {
        return new Section(title, Keys.of(more), Map.of(), List.of(), Optional.of(extended));
    }

    /** Returns its name in the reference. */
    public String title() {
        return title;
    }

    /** Returns the keys that every table has, then those that represent free names. */
    public Keys keys() {
        return new Keys(Stream.concat(keys.all().stream(), each.stream()).toList());
    }

    /** Returns whether a key of a table has a name of its own here. */
    public boolean isNamed(String key) {
        return keys.all().stream().anyMatch(own -> own.name().equals(key));
    }

    /** Returns whether all keys have free names. */
    private boolean isFree() {
        return !each.isEmpty() && keys.all().isEmpty();
    }

    /** Returns the keys that come with each choice, by its name; empty if no key chooses. */
    public Map<String, Keys> variants() {
        return variants;
    }

    /** Returns the names and meanings of the choices that select variants; empty if no key chooses. */
    public Map<String, String> choices() {
        return variants.isEmpty()
                ? Map.of()
                : keys.all().get(0).kind().choices().map(Choices::texts).orElse(Map.of());
    }

    /** Returns what the reference adds to a key with such a table: a pointer to the table's keys. */
    String inReference() {
        return isFree() ? "" : ", `" + title + "`";
    }

    /** Returns this section and all sections of its tables, each once, but not those of free names. */
    public List<Section> withInner() {
        List<Section> found = new ArrayList<>();
        collect(found);
        return found.stream().filter(section -> !section.isFree()).toList();
    }

    private void collect(List<Section> found) {
        if (!found.contains(this)) {
            found.add(this);
            extended.ifPresent(other -> other.collect(found));
            allKeys().flatMap(key -> key.kind().section().stream()).forEach(inner -> inner.collect(found));
        }
    }

    private Stream<Key<?>> allKeys() {
        return Stream.concat(keys().all().stream(), variants.values().stream().flatMap(some -> some.all().stream()));
    }

    boolean declares(Key<?> key) {
        return allKeys().anyMatch(key::equals)
                || extended.filter(other -> other.declares(key)).isPresent()
                || each.stream().anyMatch(any -> any.named(key.name()).equals(key));
    }

    boolean declares(String name) {
        return !each.isEmpty()
                || extended.filter(other -> other.declares(name)).isPresent()
                || allKeys().anyMatch(key -> key.name().equals(name));
    }
}
