package dev.ptq.evaluate.task;

import dev.ptq.data.Digests;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** The tasks by name; each is a resource next to this class. */
public final class Tasks {
    private static final List<String> FILES = List.of(
            "lambada_openai",
            "piqa",
            "arc_easy",
            "arc_challenge",
            "winogrande",
            "boolq",
            "openbookqa",
            "hellaswag",
            "copa",
            "sciq",
            "mmlu",
            "wikitext");

    private static final Map<Profile, Map<String, TaskNode>> KNOWN = new EnumMap<>(Profile.class);

    private static final Map<String, String> DESCRIPTIONS = new LinkedHashMap<>();

    /** The digest of each task's resource. */
    private static final Map<String, String> DEFINITIONS = new HashMap<>();

    static {
        for (Profile profile : Profile.values()) {
            KNOWN.put(profile, new LinkedHashMap<>());
        }
        for (String name : FILES) {
            String text = resource(name);
            TaskFile file = new TaskFile(name, text);
            KNOWN.forEach((profile, known) -> file.node(profile).ifPresent(node -> {
                add(node, known);
                node.tasks().forEach(task -> DEFINITIONS.put(task.name(), Digests.hexOfText(text)));
            }));
            file.finish();
            DESCRIPTIONS.put(name, file.summary());
        }
    }

    private Tasks() {}

    private static void add(TaskNode node, Map<String, TaskNode> known) {
        known.put(node.name(), node);
        if (node instanceof TaskGroup group) {
            group.members().forEach(member -> add(member, known));
        }
    }

    private static String resource(String name) {
        String file = name + ".toml";
        try (InputStream in = Tasks.class.getResourceAsStream(file)) {
            if (in == null) {
                throw new IllegalStateException("no resource " + file);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException("cannot read resource " + file, e);
        }
    }

    /** Returns names and descriptions, without the parts of groups. */
    public static Map<String, String> descriptions() {
        return new LinkedHashMap<>(DESCRIPTIONS);
    }

    /** Returns the part of a task that goes into fingerprints: the digest of its file. */
    public static String definition(Task task) {
        return Objects.requireNonNull(DEFINITIONS.get(task.name()), task.name());
    }

    /** Returns the task or group of that name, if the profile has it. */
    public static Optional<TaskNode> named(String name, Profile profile) {
        return Optional.ofNullable(known(profile).get(name));
    }

    /** Returns all names, including those of the parts of groups. */
    static Collection<String> names(Profile profile) {
        return List.copyOf(known(profile).keySet());
    }

    private static Map<String, TaskNode> known(Profile profile) {
        return KNOWN.getOrDefault(profile, Map.of());
    }
}
