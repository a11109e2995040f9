package dev.ptq.config;

/** The default of a key. */
sealed interface Preset<T> {
    /** No default: the key is required. */
    record Required<T>() implements Preset<T> {}

    /** A value. */
    record Value<T>(T value) implements Preset<T> {}

    /**
     * A value meaning that the key, or a table, is left out.
     *
     * @param words that say in the reference what holds then
     */
    record Absent<T>(T value, String words) implements Preset<T> {}

    /**
     * A default that the code chooses where it reads the key.
     *
     * @param words that describe the choice in the reference
     */
    record Decided<T>(String words) implements Preset<T> {}
}
