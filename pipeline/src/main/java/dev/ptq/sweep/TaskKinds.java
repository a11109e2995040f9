package dev.ptq.sweep;

import dev.ptq.config.ConfigException;
import dev.ptq.run.PlannedStage;
import dev.ptq.sweep.TaskList.Kind;
import dev.ptq.sweep.TaskList.Task;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Divides runs into tasks so that no two that run at once want the same stage.
 *
 * <p>Stages that several runs need come first, as tasks of their own, a kind for each step that they wait for one
 * another. Then come ranges of parts of one stage, if these are wanted, then the runs themselves.
 */
final class TaskKinds {
    static final String SHARED = "shared";
    static final String BASELINES = "baselines";
    static final String BLOCKS = "blocks";
    static final String POINTS = "points";

    private final List<PlannedRun> runs;
    private final int split;
    private final Map<String, Integer> users = new HashMap<>();

    /** Stages that wait for parts of another, or are that other, by fingerprint. */
    private final Set<String> late = new HashSet<>();

    /** Stages that parts of another wait for, by fingerprint. */
    private final Set<String> beforeParts = new HashSet<>();

    private TaskKinds(List<PlannedRun> runs, int split) {
        this.runs = runs;
        this.split = split;
    }

    /**
     * Returns the kinds of tasks for unfinished runs.
     *
     * @param split ranges of parts for each run, 1 for none
     * @throws ConfigException if a run has no parts that different processes could do
     */
    static List<Kind> of(List<PlannedRun> runs, int split) {
        return new TaskKinds(runs, split).kinds();
    }

    private List<Kind> kinds() {
        List<Task> ranges = new ArrayList<>();
        for (PlannedRun run : runs) {
            run.stages().stream()
                    .filter(stage -> !stage.made())
                    .forEach(stage -> users.merge(stage.fingerprint(), 1, Integer::sum));
        }
        if (split > 1) {
            ranges.addAll(ranges());
        }
        Map<Integer, List<Task>> levels = new TreeMap<>();
        List<Task> baselines = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (PlannedRun run : runs) {
            Map<String, Integer> depth = new HashMap<>();
            for (PlannedStage stage : run.stages()) {
                if (stage.made()) {
                    continue;
                }
                depth.put(
                        stage.name(),
                        stage.inputs().stream()
                                .mapToInt(input -> depth.getOrDefault(input, -1) + 1)
                                .max()
                                .orElse(0));
                if (isEarly(stage) && seen.add(stage.fingerprint())) {
                    Task task = new Task(
                            run.tag(), run.set(), run.fingerprint(), Optional.of(stage.name()), Optional.empty());
                    if (split > 1 && !beforeParts.contains(stage.fingerprint())) {
                        baselines.add(task);
                    } else {
                        levels.computeIfAbsent(depth.get(stage.name()), level -> new ArrayList<>())
                                .add(task);
                    }
                }
            }
        }
        return chain(levels, baselines, ranges);
    }

    private boolean isEarly(PlannedStage stage) {
        return split > 1
                ? !late.contains(stage.fingerprint())
                : Objects.requireNonNull(users.get(stage.fingerprint())) > 1;
    }

    private List<Kind> chain(Map<Integer, List<Task>> levels, List<Task> baselines, List<Task> ranges) {
        List<Kind> kinds = new ArrayList<>();
        Set<String> before = new LinkedHashSet<>();
        for (List<Task> level : levels.values()) {
            String name = before.isEmpty() ? SHARED : SHARED + "-" + (before.size() + 1);
            kinds.add(new Kind(name, List.copyOf(before), level));
            before.add(name);
        }
        List<String> shared = List.copyOf(before);
        Map<String, List<Task>> beside = new LinkedHashMap<>();
        beside.put(BASELINES, baselines);
        beside.put(BLOCKS, ranges);
        beside.forEach((name, tasks) -> {
            if (!tasks.isEmpty()) {
                kinds.add(new Kind(name, shared, tasks));
                before.add(name);
            }
        });
        kinds.add(new Kind(
                POINTS,
                List.copyOf(before),
                runs.stream()
                        .map(run ->
                                new Task(run.tag(), run.set(), run.fingerprint(), Optional.empty(), Optional.empty()))
                        .toList()));
        return kinds;
    }

    private List<Task> ranges() {
        List<Task> ranges = new ArrayList<>();
        List<String> problems = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (PlannedRun run : runs) {
            for (PlannedStage stage : run.stages()) {
                if (stage.parts().isPresent()) {
                    PlannedStage.Parts parts = stage.parts().get();
                    parts.order()
                            .ifPresent(order ->
                                    problems.add(run.tag() + ": its blocks cannot be split among processes: " + order));
                    noteOrder(run, stage);
                    if (!stage.made() && seen.add(stage.fingerprint())) {
                        ranges.addAll(ranges(run, stage, parts.count()));
                    }
                }
            }
        }
        if (runs.stream()
                .flatMap(run -> run.stages().stream())
                .allMatch(stage -> stage.parts().isEmpty())) {
            problems.add("there is no step whose blocks could be split");
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
        return ranges;
    }

    private List<Task> ranges(PlannedRun run, PlannedStage stage, int count) {
        List<Task> tasks = new ArrayList<>();
        int pieces = Math.min(split, count);
        for (int i = 0; i < pieces; i++) {
            tasks.add(new Task(
                    run.tag(),
                    run.set(),
                    run.fingerprint(),
                    Optional.of(stage.name()),
                    Optional.of(new TaskList.Parts(count * i / pieces, count * (i + 1) / pieces))));
        }
        return tasks;
    }

    private void noteOrder(PlannedRun run, PlannedStage parted) {
        Set<String> dependent = new HashSet<>(Set.of(parted.name()));
        Set<String> needed = new HashSet<>(parted.inputs());
        for (PlannedStage stage : run.stages()) {
            if (stage.inputs().stream().anyMatch(dependent::contains)) {
                dependent.add(stage.name());
            }
        }
        for (int i = run.stages().size() - 1; i >= 0; i--) {
            PlannedStage stage = run.stages().get(i);
            if (needed.contains(stage.name())) {
                needed.addAll(stage.inputs());
                beforeParts.add(stage.fingerprint());
            }
            if (dependent.contains(stage.name())) {
                late.add(stage.fingerprint());
            }
        }
    }
}
