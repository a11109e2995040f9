package dev.ptq.run;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;

/** The stages of one run in the order they are executed, and the fingerprint of each. */
public final class Plan {
    /**
     * Has no dots, so that a stage's directory cannot be mistaken for a file of the run such as {@code manifest.json}.
     */
    private static final Pattern STAGE_NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*");

    private final Map<String, Stage> stages = new LinkedHashMap<>();
    private final Map<String, String> fingerprints = new LinkedHashMap<>();
    private final String fingerprint;

    /**
     * Orders stages.
     *
     * @throws IllegalArgumentException if a name is malformed or taken, an input is not an earlier stage, or settings
     *     have no canonical text
     */
    public Plan(List<Stage> stages) {
        stages.forEach(this::add);
        fingerprint = Fingerprint.of(fingerprints.values());
    }

    private void add(Stage stage) {
        String name = stage.name();
        if (!STAGE_NAME.matcher(name).matches()) {
            throw new IllegalArgumentException("stage \"" + name + "\": expected words with slashes between");
        }
        if (stages.containsKey(name)) {
            throw new IllegalArgumentException("stage " + name + ": there are two of that name");
        }
        if (!stages.keySet().containsAll(stage.inputs())) {
            throw new IllegalArgumentException("stage " + name + ": expected inputs among the earlier stages "
                    + stages.keySet() + ", got " + stage.inputs());
        }
        List<String> inputs = stage.inputs().stream().map(this::fingerprint).toList();
        fingerprints.put(name, Fingerprint.of(stage, inputs));
        stages.put(name, stage);
    }

    /** The stages in order. */
    public List<Stage> stages() {
        return List.copyOf(stages.values());
    }

    /** The fingerprint of each stage by its name, in order. */
    public Map<String, String> fingerprints() {
        return Collections.unmodifiableMap(fingerprints);
    }

    /** The fingerprint of one of the stages. */
    public String fingerprint(String stage) {
        return Objects.requireNonNull(fingerprints.get(stage), stage);
    }

    /** The fingerprint of the whole plan: equal plans give equal runs. */
    public String fingerprint() {
        return fingerprint;
    }

    /**
     * Returns the stages that a stage needs, directly or not, and last the stage itself.
     *
     * @throws IllegalArgumentException if no stage has that name
     */
    public List<Stage> upTo(String name) {
        if (!stages.containsKey(name)) {
            throw new IllegalArgumentException(
                    "expected one of the stages " + stages.keySet() + ", got \"" + name + "\"");
        }
        Set<String> needed = new HashSet<>(Set.of(name));
        List<Stage> found = new ArrayList<>(stages.values());
        Collections.reverse(found);
        found.removeIf(stage -> {
            if (needed.contains(stage.name())) {
                needed.addAll(stage.inputs());
                return false;
            }
            return true;
        });
        Collections.reverse(found);
        return List.copyOf(found);
    }

    /**
     * Returns the names of a stage and of all stages that depend on it, directly or not.
     *
     * @param start the name of a stage, or the word before the slash for all parts of that name
     * @throws IllegalArgumentException if no stage has that name
     */
    public Set<String> from(String start) {
        Set<String> found = new LinkedHashSet<>();
        for (Stage stage : stages.values()) {
            if (stage.name().equals(start)
                    || stage.name().startsWith(start + "/")
                    || stage.inputs().stream().anyMatch(found::contains)) {
                found.add(stage.name());
            }
        }
        if (found.isEmpty()) {
            throw new IllegalArgumentException(
                    "expected one of the stages " + stages.keySet() + ", got \"" + start + "\"");
        }
        return found;
    }
}
