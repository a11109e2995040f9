package dev.ptq.config;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A row of the config reference, in Markdown.
 *
 * @param variants the choices that the key comes with; empty if it comes with all of them
 * @param values the valid ones
 * @param preset its default; "required" if it has none
 */
public record KeyRow(String key, List<String> variants, String values, String preset, String meaning) {
    /** A key as one variant declares it; the variant is empty for keys of all variants. */
    private record Declared(String variant, Key<?> key) {}

    /** Returns the keys that every table of a section has. Keys with the same name and meaning share a row. */
    public static List<KeyRow> of(Section section) {
        Map<List<String>, List<Declared>> rows = new LinkedHashMap<>();
        section.keys().all().forEach(key -> add(rows, new Declared("", key)));
        return rows.values().stream().map(KeyRow::of).toList();
    }

    /**
     * Returns the keys that come with some choices of a section. Keys with the same name and meaning share a row, which
     * says where they differ.
     *
     * @param variants all or some of those of the section
     */
    public static List<KeyRow> of(Section section, Collection<String> variants) {
        Map<List<String>, List<Declared>> rows = new LinkedHashMap<>();
        for (String variant : variants) {
            Keys keys = section.variants().getOrDefault(variant, Keys.of());
            keys.all().forEach(key -> add(rows, new Declared(variant, key)));
        }
        return rows.values().stream().map(KeyRow::of).toList();
    }

    private static void add(Map<List<String>, List<Declared>> rows, Declared declared) {
        rows.computeIfAbsent(List.of(declared.key().name(), declared.key().meaning()), absent -> new ArrayList<>())
                .add(declared);
    }

    private static KeyRow of(List<Declared> declared) {
        Key<?> first = declared.get(0).key();
        return new KeyRow(
                first.name(),
                declared.stream()
                        .map(Declared::variant)
                        .filter(variant -> !variant.isEmpty())
                        .distinct()
                        .toList(),
                merged(declared, key -> key.kind().inReference()),
                merged(declared, key -> preset(key)),
                first.meaning() + choiceTexts(first.kind()));
    }

    /** Returns the common text, or the majority's followed by the others. */
    private static String merged(List<Declared> declared, Function<Key<?>, String> text) {
        Map<String, List<String>> byText = declared.stream()
                .collect(Collectors.groupingBy(
                        each -> text.apply(each.key()),
                        LinkedHashMap::new,
                        Collectors.mapping(Declared::variant, Collectors.toList())));
        Optional<String> usual = byText.entrySet().stream()
                .filter(entry -> 2 * entry.getValue().size() > declared.size())
                .map(Map.Entry::getKey)
                .findFirst();
        Stream<String> others = byText.entrySet().stream()
                .filter(entry -> !usual.equals(Optional.of(entry.getKey())))
                .map(entry -> label(entry.getValue()) + entry.getKey());
        return Stream.concat(usual.stream(), others).collect(Collectors.joining("; "));
    }

    private static String label(List<String> variants) {
        return variants.contains("")
                ? ""
                : variants.stream().map(KeyRow::code).collect(Collectors.joining(", ", "", ": "));
    }

    private static String choiceTexts(Kind<?> kind) {
        String texts = kind.choices().map(Choices::texts).orElse(Map.of()).entrySet().stream()
                .filter(choice -> !choice.getValue().isEmpty())
                .map(choice -> code(TomlWriter.inline(choice.getKey())) + ": " + choice.getValue())
                .collect(Collectors.joining("; "));
        return texts.isEmpty() ? "" : ". " + texts;
    }

    private static <T> String preset(Key<T> key) {
        Preset<T> preset = key.preset();
        if (preset instanceof Preset.Value<T> value) {
            return code(shown(key.kind().written(value.value())));
        }
        if (preset instanceof Preset.Absent<T> absent) {
            return absent.words();
        }
        return preset instanceof Preset.Decided<T> decided ? decided.words() : "required";
    }

    /** Formats a value as one would write it: small numbers without an exponent. */
    private static String shown(Object value) {
        return value instanceof Double number
                ? new BigDecimal(number.toString()).stripTrailingZeros().toPlainString()
                : TomlWriter.inline(value);
    }

    private static String code(String text) {
        return "`" + text + "`";
    }
}
