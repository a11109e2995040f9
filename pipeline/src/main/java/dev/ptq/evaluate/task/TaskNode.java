package dev.ptq.evaluate.task;

import java.util.List;

/** A task, or a group of them that has metrics of its own. */
public sealed interface TaskNode permits Task, TaskGroup {
    /** The name in configs and results. */
    String name();

    /** The tasks that it comes to, in order. */
    List<Task> tasks();

    /** Whether it, or any part of it, has the name. */
    default boolean includes(String other) {
        return name().equals(other);
    }
}
