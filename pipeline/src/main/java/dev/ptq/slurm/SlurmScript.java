package dev.ptq.slurm;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * A script for {@code sbatch}: an array of tasks of one kind.
 *
 * @param name of the job
 * @param kind of the tasks
 * @param first index of the array's first task among those of the kind
 * @param count of tasks
 * @param after ids of jobs that must have succeeded
 * @param parallel tasks at once
 * @param program the command of a task, to which its index is added
 * @param logs the folder for the tasks' output; it must exist
 * @param workingFolder of the tasks
 */
public record SlurmScript(
        String name,
        String kind,
        int first,
        int count,
        List<String> after,
        OptionalInt parallel,
        List<String> program,
        Path logs,
        Path workingFolder) {
    public SlurmScript {
        after = List.copyOf(after);
        program = List.copyOf(program);
    }

    /** Returns the file for the output of the task with an index among those of the kind. */
    public Path log(int index) {
        return logs.resolve(logPrefix() + (index - first) + ".log");
    }

    private String logPrefix() {
        return first == 0 ? kind + "-" : kind + "-" + first + "+";
    }

    /** Returns the text. */
    public String text(SlurmSettings settings) {
        TaskRequest request = settings.request(kind);
        List<String> lines = new ArrayList<>(List.of("#!/bin/bash"));
        List<String> options = new ArrayList<>();
        options.add("--job-name=" + quoted(name));
        options.add("--array=0-" + (count - 1) + (parallel.isPresent() ? "%" + parallel.getAsInt() : ""));
        if (!after.isEmpty()) {
            options.add("--dependency=afterok:" + String.join(":", after));
            options.add("--kill-on-invalid-dep=yes");
        }
        String pattern = logs.resolve(logPrefix()).toString().replace("%", "%%") + "%a.log";
        options.add("--output=" + quoted(pattern));
        options.add("--open-mode=append");
        options.add("--requeue");
        options.add("--signal=B:USR1@" + settings.signalSeconds());
        options.add("--chdir=" + quoted(workingFolder.toString()));
        options.add("--cpus-per-task=" + request.cpus());
        options.addAll(request.options());
        options.addAll(settings.additional());
        options.forEach(option -> lines.add("#SBATCH " + option));
        lines.addAll(settings.setup());
        lines.add("export PTQ_THREADS=" + request.cpus());
        // 0 is Slurm's word for all that the node has
        request.memory()
                .filter(memory -> !memory.matches("0+[KMGT]?"))
                .ifPresent(memory -> lines.add("export PTQ_MEMORY=" + memory));
        // the long form: the last task of an array has the id of the whole array
        lines.add("trap '[ \"${SLURM_RESTART_COUNT:-0}\" -lt " + settings.requeues()
                + " ] && scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"' USR1");
        lines.add(String.join(" ", program.stream().map(SlurmScript::quoted).toList()) + " \"$((" + first
                + " + SLURM_ARRAY_TASK_ID))\" &");
        // a shell acts on signals only while it waits; then the child is still there
        lines.add("child=$!");
        lines.add("wait \"$child\"");
        lines.add("while kill -0 \"$child\" 2>/dev/null; do wait \"$child\"; done");
        lines.add("wait \"$child\"");
        lines.add("exit $?");
        return String.join("\n", lines) + "\n";
    }

    /** A word of a shell, and of a line of options in a script. */
    public static String quoted(String word) {
        return word.matches("[A-Za-z0-9_./:=@%+,-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
    }
}
