package dev.ptq.evaluate.task;

import java.util.List;

/** A task, or a group of them with its own metrics. */
public sealed interface TaskNode permits Task, TaskGroup {
    /** Returns the name in configs and results. */
    String name();

    /** Returns the single tasks it consists of, in order. */
    List<Task> tasks();

    /** Returns whether it, or any part of it, has the name. */
    default boolean includes(String other) {
        return name().equals(other);
    }
}
