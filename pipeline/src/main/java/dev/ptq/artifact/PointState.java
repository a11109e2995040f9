package dev.ptq.artifact;

import java.util.Locale;

/** The state of a sweep point, and the outcome of a run. */
public enum PointState {
    /** Neither done nor failed. */
    PENDING,
    /** The run is complete. */
    DONE,
    /** The run ended with an error. */
    FAILED;

    /** The word in {@code sweep.json} and in collected tables. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
