package dev.ptq.config;

/** What stands in for a key that is left out. */
sealed interface Preset<T> {
    /** Nothing does: the key has to be there. */
    record Required<T>() implements Preset<T> {}

    /** A value. */
    record Value<T>(T value) implements Preset<T> {}

    /**
     * A value that means that the key is left out, or a table.
     *
     * @param words that say in the reference what holds then
     */
    record Absent<T>(T value, String words) implements Preset<T> {}

    /**
     * A value that the code decides where it reads the key.
     *
     * @param words that say in the reference what it decides
     */
    record Decided<T>(String words) implements Preset<T> {}
}
