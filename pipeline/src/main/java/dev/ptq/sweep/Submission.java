package dev.ptq.sweep;

import dev.ptq.sweep.LaunchFolder.Job;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Tasks that were handed to a scheduler, and its jobs for them. */
record Submission(LaunchFolder folder, TaskList tasks, List<Job> jobs) {
    List<String> ids() {
        return jobs.stream().map(Job::id).toList();
    }

    List<String> ids(String kind) {
        return jobs.stream().filter(job -> job.kind().equals(kind)).map(Job::id).toList();
    }

    /** The scheduler's name for a task, which was submitted. */
    String task(String kind, int index) {
        return job(kind, index).task(index);
    }

    /** The file with the output of a task. */
    Path log(String kind, int index) {
        Job job = job(kind, index);
        String prefix = job.first() == 0 ? kind + "-" : kind + "-" + job.first() + "+";
        return folder.path().resolve(prefix + (index - job.first()) + ".log");
    }

    private Job job(String kind, int index) {
        return jobs.stream()
                .filter(job -> job.kind().equals(kind) && job.has(index))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(kind + " " + index + " was not submitted"));
    }

    /** Finds the tasks of runs, some of them: an index among the submitted points for the index of a run. */
    Map<Integer, Integer> indexOf(List<PlannedRun> runs, Collection<Integer> some) {
        List<TaskList.Task> points =
                tasks.kind(TaskKinds.POINTS).map(TaskList.Kind::tasks).orElse(List.of());
        Map<Integer, Integer> found = new LinkedHashMap<>();
        for (int index : some) {
            PlannedRun run = runs.get(index);
            for (int i = 0; i < points.size(); i++) {
                boolean same = points.get(i).tag().equals(run.tag())
                        && points.get(i).fingerprint().equals(run.fingerprint());
                int position = i;
                if (same && jobs.stream().anyMatch(job -> job.kind().equals(TaskKinds.POINTS) && job.has(position))) {
                    found.put(index, i);
                }
            }
        }
        return found;
    }

    /** What to do when nobody watches. */
    String goesOn() {
        return "jobs " + String.join(", ", ids()) + " go on; the same command watches them; scancel "
                + String.join(" ", ids()) + " ends them";
    }
}
