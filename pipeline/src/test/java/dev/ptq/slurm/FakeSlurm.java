package dev.ptq.slurm;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Slurm's commands as shell scripts over a folder. Tasks are processes of this machine that start as soon as what they
 * wait for has ended; out of memory, time limits and mixed processors are words that a test writes.
 */
public record FakeSlurm(Path folder) {
    /** Jobs are folders {@code jobs/ID}, with a file {@code INDEX.state} for each task: state and reason. */
    private static final String COMMON = """
            #!/bin/sh
            root='ROOT'
            say() { printf '%s' "$3|${4:-None}" > "$root/jobs/$1/$2.state.new"; mv "$root/jobs/$1/$2.state.new" "$root/jobs/$1/$2.state"; }
            state() { cat "$root/jobs/$1/$2.state"; }
            """;

    private static final String SBATCH = """
            if [ -f "$root/refuse" ]; then cat "$root/refuse" >&2; exit 1; fi
            if [ "$1" = --test-only ]; then echo "sbatch: would start" >&2; exit 0; fi
            script=$2
            id=100; while ! mkdir "$root/jobs/$id" 2>/dev/null; do id=$((id + 1)); done
            last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
            after=$(sed -n 's/^#SBATCH --dependency=afterok://p' "$script" | tr : ' ')
            log=$(sed -n "s/^#SBATCH --output=//p" "$script" | tr -d "'")
            cp "$script" "$root/jobs/$id/script"
            for index in $(seq 0 "$last"); do say "$id" "$index" PENDING; done
            "$root/run" "$id" "$last" "$log" $after </dev/null >"$root/jobs/$id/err" 2>&1 &
            echo "$id"
            """;

    private static final String RUN = """
            id=$1; last=$2; log=$3; shift 3
            echo $$ > "$root/jobs/$id/pid"
            while [ -f "$root/hold" ]; do sleep 0.05; done
            for job in "$@"; do
              while cat "$root/jobs/$job"/*.state | grep -q '^PENDING\\|^RUNNING\\|^$'; do sleep 0.05; done
              if cat "$root/jobs/$job"/*.state | grep -qv '^COMPLETED'; then
                for index in $(seq 0 "$last"); do say "$id" "$index" CANCELLED DependencyNeverSatisfied; done
                exit
              fi
            done
            for index in $(seq 0 "$last"); do
              case $(state "$id" "$index") in PENDING*) ;; *) continue ;; esac
              say "$id" "$index" RUNNING
              SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$index bash "$root/jobs/$id/script" >> "$(echo "$log" | sed "s/%a/$index/")" 2>&1
              code=$?
              echo "$code" > "$root/jobs/$id/$index.code"
              case $(state "$id" "$index") in RUNNING*) ;; *) continue ;; esac
              if [ -f "$root/words/$index" ]; then say "$id" "$index" "$(cat "$root/words/$index")"
              elif [ "$code" = 0 ]; then say "$id" "$index" COMPLETED
              else say "$id" "$index" FAILED NonZeroExitCode; fi
            done
            """;

    private static final String SQUEUE = """
            if [ -f "$root/down" ]; then echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; fi
            while [ "$1" != -j ]; do shift; done
            known=no
            for id in $(echo "$2" | tr , ' '); do
              [ -d "$root/jobs/$id" ] && ! [ -f "$root/forget" ] || continue
              known=yes
              for file in "$root/jobs/$id"/*.state; do
                echo "$id|$(basename "$file" .state)|$(cat "$file")"
              done
            done
            if [ $known = no ]; then echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1; fi
            """;

    private static final String SCONTROL = """
            case "$*" in
            'show config') printf 'MaxArraySize            = %s\\nMinJobAge               = 300 sec\\n' "$(cat "$root/array-size")" ;;
            '-o show job '*) task=$4; code=$(cat "$root/jobs/${task%_*}/${task#*_}.code")
              if [ "$code" -gt 128 ]; then code="0:$((code - 128))"; else code="$code:0"; fi
              echo "JobId=7 JobState=FAILED Restarts=2 ExitCode=$code" ;;
            *) exit 1 ;;
            esac
            """;

    private static final String SCANCEL = """
            echo "$*" >> "$root/cancelled"
            only='PENDING\\|^RUNNING'
            if [ "$1" = --state=PENDING ]; then only=PENDING; shift; fi
            for id in "$@"; do
              for file in "$root/jobs/$id"/*.state; do
                if grep -q "^$only" "$file"; then say "$id" "$(basename "$file" .state)" CANCELLED; fi
              done
            done
            """;

    /** Writes the commands into a folder. */
    public static FakeSlurm in(Path folder) throws IOException {
        FakeSlurm fake = new FakeSlurm(folder);
        Files.createDirectories(folder.resolve("jobs"));
        Files.createDirectories(folder.resolve("words"));
        fake.arraySize(1001);
        fake.command("sbatch", SBATCH);
        fake.command("run", RUN);
        fake.command("squeue", SQUEUE);
        fake.command("scontrol", SCONTROL);
        fake.command("scancel", SCANCEL);
        return fake;
    }

    private void command(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.writeString(file, COMMON.replace("ROOT", folder.toString()) + text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    /** The commands for a program. */
    public Slurm slurm() {
        return new Slurm(Optional.of(folder), Duration.ofSeconds(20));
    }

    public void arraySize(int size) throws IOException {
        Files.writeString(folder.resolve("array-size"), String.valueOf(size));
    }

    /** Sets or takes away a switch: {@code down}, {@code forget}, {@code hold}. */
    public void set(String name, boolean on) throws IOException {
        if (on) {
            Files.writeString(folder.resolve(name), "");
        } else {
            Files.deleteIfExists(folder.resolve(name));
        }
    }

    /** Makes sbatch fail with a message. */
    public void refuse(String message) throws IOException {
        Files.writeString(folder.resolve("refuse"), message);
    }

    /** Makes tasks with an index end in a state, whatever they do. */
    public void endAs(int index, String state) throws IOException {
        Files.writeString(folder.resolve("words/" + index), state);
    }

    /** Waits for tasks that still write into the folder, and ends those that do not end by themselves. */
    public void end() throws IOException {
        set("hold", false);
        try (DirectoryStream<Path> jobs = Files.newDirectoryStream(folder.resolve("jobs"))) {
            for (Path job : jobs) {
                Path pid = job.resolve("pid");
                if (Files.exists(pid)) {
                    ProcessHandle.of(Long.parseLong(Files.readString(pid).strip()))
                            .ifPresent(FakeSlurm::end);
                }
            }
        }
    }

    private static void end(ProcessHandle job) {
        job.onExit().completeOnTimeout(job, 10, TimeUnit.SECONDS).join();
        job.descendants().forEach(ProcessHandle::destroyForcibly);
        job.destroyForcibly();
    }

    /** The arguments of each call of scancel. */
    public List<String> cancelled() throws IOException {
        Path file = folder.resolve("cancelled");
        return Files.exists(file) ? Files.readAllLines(file) : List.of();
    }

    /** The ids of all jobs. */
    public List<String> jobs() throws IOException {
        try (java.util.stream.Stream<Path> jobs = Files.list(folder.resolve("jobs"))) {
            return jobs.map(job -> job.getFileName().toString()).sorted().toList();
        }
    }

    /** The script of a job. */
    public String script(String id) throws IOException {
        return Files.readString(folder.resolve("jobs").resolve(id).resolve("script"));
    }
}
