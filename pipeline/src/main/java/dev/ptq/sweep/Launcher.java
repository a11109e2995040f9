package dev.ptq.sweep;

import java.io.IOException;
import java.util.List;

/** Runs all unfinished points of a sweep: here, or somewhere else. */
public interface Launcher {
    /** Is told what becomes of points, by any thread. */
    interface Listener {
        /** A point has a name in the queue of a scheduler. */
        default void submitted(int index, String job) throws IOException {}

        /** A point is at work. */
        void started(int index);

        /** A point is done or has failed. One of which this is not said stays as it was. */
        void ended(int index, PointRunner.Outcome outcome) throws IOException;
    }

    /**
     * Runs points; a failing point stops no other.
     *
     * @param points none of which is complete; the listener counts them from 0
     * @param failFast whether to start no more points after a failure
     * @return whether it waited for all of them; otherwise they go on
     */
    boolean run(List<CheckedPoint> points, boolean failFast, Listener listener) throws IOException;
}
