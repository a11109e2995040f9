package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigTable;

/**
 * A value in a sweep file, and where that is.
 *
 * @param assignment what it does to a config
 * @param table that it stands in
 * @param written its key there
 */
record Value(Assignment assignment, ConfigTable table, String written) {
    /** The key of the config; one that is written in two ways is still one. */
    String key() {
        return assignment.key();
    }

    Object value() {
        return assignment.value();
    }

    void problem(String message) {
        table.problem(written, message);
    }
}
