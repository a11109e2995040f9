package dev.ptq.config;

import java.util.List;
import java.util.stream.Stream;

/** Some keys, in the order of the reference. */
public record Keys(List<Key<?>> all) {
    public Keys {
        all = List.copyOf(all);
    }

    /** These keys. */
    public static Keys of(Key<?>... keys) {
        return new Keys(List.of(keys));
    }

    /** Returns these followed by others. */
    public Keys and(Keys others) {
        return new Keys(Stream.<Key<?>>concat(all.stream(), others.all.stream()).toList());
    }

    /** Returns these followed by others. */
    public Keys and(Key<?>... others) {
        return and(of(others));
    }
}
