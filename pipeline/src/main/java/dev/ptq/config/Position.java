package dev.ptq.config;

/**
 * The position of a value, shown as {@code configs/w4.toml:3:1} or as the command-line override that gave it.
 *
 * @param source the file as the user named it, or {@code --set key=value}
 * @param line from 1; 0 for an override
 * @param column of the key, from 1; 0 for an override
 */
public record Position(String source, int line, int column) {
    static Position ofOverride(String override) {
        boolean unset = override.startsWith(Overrides.UNSET);
        return new Position(unset ? "--unset " + override.substring(1) : "--set " + override, 0, 0);
    }

    /** Returns the position of an argument of the command line. */
    public static Position ofArgument(String argument) {
        return new Position(argument, 0, 0);
    }

    boolean inFile() {
        return line > 0;
    }

    @Override
    public String toString() {
        return inFile() ? source + ":" + line + ":" + column : source;
    }
}
