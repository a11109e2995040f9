package dev.ptq.evaluate.task;

import java.util.List;

/** A group of tasks whose documents are averaged as if they belonged to one task. */
record TaskGroup(String name, String version, List<TaskNode> members) implements TaskNode {
    @Override
    public List<Task> tasks() {
        return members.stream().flatMap(member -> member.tasks().stream()).toList();
    }

    @Override
    public boolean includes(String other) {
        return name.equals(other) || members.stream().anyMatch(member -> member.includes(other));
    }
}
