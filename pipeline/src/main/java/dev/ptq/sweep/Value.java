package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigTable;

/**
 * A value in a sweep file, and its place there.
 *
 * @param assignment to a config
 * @param table that it stands in
 * @param written its key there
 * @param isChoice whether it is the name of an alternative of the axis that is its key: it is set in no config
 */
record Value(Assignment assignment, ConfigTable table, String written, boolean isChoice) {
    Value(Assignment assignment, ConfigTable table, String written) {
        this(assignment, table, written, false);
    }

    /** The config key, in one spelling however it is written. */
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
