package dev.ptq.method;

import java.util.List;

/** Something that training learns about a block. */
interface Learned {
    /** The trained parameters; may be empty. */
    List<Parameter> parameters();

    /** Projects the parameters back into their allowed range; called after every step. */
    default void project() {}

    /** Called at the start of an epoch, for constraints that open up gradually. */
    default void startEpoch(int epoch, int epochs) {}
}
