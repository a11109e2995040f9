package dev.ptq.config;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Short ways to declare keys for tests, and to read all that are declared. */
final class DeclaredKeys {
    static final Choices<Integer> FORMATS =
            Choices.of("mxint", 1, "").and("int", 2, "").and("minifloat", 3, "");

    private DeclaredKeys() {}

    static Key<String> text(String name) {
        return Key.text(name).says("a text");
    }

    static Key<Optional<String>> optionalText(String name) {
        return text(name).optional("");
    }

    static Key<Integer> integer(String name, int min, int max) {
        return Key.integer(name).from(min).to(max).says("a number");
    }

    static Key<Optional<Integer>> optionalInteger(String name, int min, int max) {
        return integer(name, min, max).optional("");
    }

    static Key<Long> longInteger(String name, long min, long max) {
        return Key.longInteger(name).from(min).to(max).says("a number");
    }

    static Key<Double> decimal(String name, double min, double max) {
        return Key.decimal(name).from(min).to(max).says("a number");
    }

    static Key<Boolean> flag(String name) {
        return Key.flag(name).says("a flag");
    }

    static Key<List<Integer>> integers(String name) {
        return Key.integers(name).says("numbers");
    }

    static Key<List<String>> strings(String name) {
        return Key.strings(name).says("texts");
    }

    static Key<Integer> format(String name) {
        return Key.choice(name, FORMATS).says("a format");
    }

    static Key<List<Integer>> formats(String name, Integer... preset) {
        return Key.choices(name, FORMATS).preset(List.of(preset)).says("formats");
    }

    static Key<Object> value(String name) {
        return Key.value(name, "anything").says("anything");
    }

    static Key<List<Object>> values(String name) {
        return Key.values(name).says("things");
    }

    static Key<ConfigTable> table(String name, Key<?>... keys) {
        return Key.table(name, Section.of(name, keys)).says("a table");
    }

    static Key<Optional<ConfigTable>> optionalTable(String name, Key<?>... keys) {
        return table(name, keys).optional("");
    }

    static Key<List<ConfigTable>> tables(String name, Key<?>... keys) {
        return Key.tables(name, Section.of(name, keys)).says("tables");
    }

    static ConfigTable parse(String toml, List<String> overrides, Key<?>... keys) {
        return ConfigTable.parse(toml, "w4.toml", overrides, Section.of("file", keys));
    }

    /** Reads the keys in their order, and those of tables within; the values of the tables themselves are left out. */
    static List<Object> readAll(ConfigTable table, Key<?>... keys) {
        List<Object> values = new ArrayList<>();
        Arrays.stream(keys).forEach(key -> add(values, table.read(key), key));
        return values;
    }

    private static void add(List<Object> values, Object value, Key<?> key) {
        if (value instanceof ConfigTable inner) {
            Key<?>[] keys = key.kind().section().orElseThrow().keys().all().toArray(Key<?>[]::new);
            values.addAll(readAll(inner, keys));
        } else if (value instanceof Optional<?> optional
                && optional.filter(ConfigTable.class::isInstance).isPresent()) {
            add(values, optional.get(), key);
        } else if (value instanceof List<?> list && key.kind() instanceof Kind.Tables) {
            list.forEach(each -> add(values, each, key));
        } else {
            values.add(value);
        }
    }
}
