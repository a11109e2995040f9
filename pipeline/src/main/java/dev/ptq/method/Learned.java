package dev.ptq.method;

import java.util.List;

/** A part of what training learns about a block. */
interface Learned {
    /** What moves; none where nothing does. */
    List<Parameter> parameters();

    /** Moves the parameters back to where they are allowed to be; called after every step. */
    default void project() {}

    /** Called at the start of an epoch, for what opens up gradually. */
    default void startEpoch(int epoch, int epochs) {}
}
