package dev.ptq.experiment;

import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.TomlWriter;
import dev.ptq.progress.Progress;
import dev.ptq.run.Finish;
import dev.ptq.run.PartedStage;
import dev.ptq.run.Plan;
import dev.ptq.run.PlannedStage;
import dev.ptq.run.Provenance;
import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import dev.ptq.run.SmallFile;
import dev.ptq.stage.EvaluationSettings;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Ledger;
import dev.ptq.stage.Workspace;
import dev.ptq.tensor.Parallel;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs an experiment under a tag, after checks that find mistakes first. */
public final class ExperimentRun implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ExperimentRun.class);

    private static final int MOST_CHANGES = 20;

    private final Experiment experiment;
    private final String tag;
    private final Runs runs;
    private final Workspace workspace;
    private final Plan plan;
    private final boolean replaces;

    /** The inputs of {@link #check}. */
    private record Inputs(
            ModelFolder model, Optional<CalibrationSettings> calibration, EvaluationSettings evaluation) {}

    private ExperimentRun(
            Experiment experiment, String tag, Runs runs, Workspace workspace, Plan plan, boolean replaces) {
        this.experiment = experiment;
        this.tag = tag;
        this.runs = runs;
        this.workspace = workspace;
        this.plan = plan;
        this.replaces = replaces;
    }

    /**
     * Plans the run; nothing is written.
     *
     * @param results the folder for {@code tag}; it need not exist yet
     * @throws ConfigException if the run cannot have that tag
     */
    public static ExperimentRun prepare(Experiment experiment, Path results, String tag, Progress.Reporter reporter)
            throws IOException {
        return prepare(experiment, results, tag, false, reporter);
    }

    /**
     * Plans the run; nothing is written.
     *
     * @param results the folder for {@code tag}; it need not exist yet
     * @param overwrite whether another run with that tag is in the way no more: it will be moved, see {@link #run}
     * @throws ConfigException if the run cannot have that tag
     */
    public static ExperimentRun prepare(
            Experiment experiment, Path results, String tag, boolean overwrite, Progress.Reporter reporter)
            throws IOException {
        requirePlace(results, tag);
        Workspace workspace = new Workspace(experiment, reporter);
        Plan plan = ExperimentPlan.of(workspace);
        Runs runs = new Runs(results);
        Optional<Runs.Conflict> conflict = runs.conflict(tag, plan);
        if (conflict.isPresent() && !(overwrite && conflict.get().isRun())) {
            throw new ConfigException(
                    conflict.get().isRun()
                            ? otherRun(experiment, results.resolve(tag), conflict.get())
                                    + "; use another tag, or --overwrite, which moves the old run to "
                                    + runs.asideOf(tag)
                            : conflict.get().message());
        }
        return new ExperimentRun(experiment, tag, runs, workspace, plan, conflict.isPresent());
    }

    /** Says what a run of the same name is. */
    private static String otherRun(Experiment experiment, Path directory, Runs.Conflict conflict) {
        Optional<FlatConfig> was = resolved(directory);
        if (was.isEmpty()) {
            return conflict.what();
        }
        FlatConfig now = FlatConfig.parse(TomlWriter.write(experiment.resolved()), RunFiles.RESOLVED);
        List<String> changes = FlatConfig.differences(List.of(was.get(), now)).stream()
                .map(key -> key + " is " + shown(now, key) + ", was " + shown(was.get(), key))
                .toList();
        if (changes.isEmpty()) {
            return conflict.what() + ", though the config is the same: the model, a text or the program changed";
        }
        int more = changes.size() - MOST_CHANGES;
        return directory + ": made by another config: "
                + String.join("; ", changes.subList(0, Math.min(MOST_CHANGES, changes.size())))
                + (more > 0 ? "; and " + more + " more keys" : "");
    }

    private static Optional<FlatConfig> resolved(Path directory) {
        try {
            Path file = directory.resolve(RunFiles.RESOLVED);
            String toml = new String(SmallFile.read(file), StandardCharsets.UTF_8);
            return Optional.of(FlatConfig.parse(toml, file.toString()));
        } catch (IOException | ConfigException unreadable) {
            return Optional.empty(); // the conflict itself is reported
        }
    }

    private static String shown(FlatConfig config, String key) {
        Object value = config.values().get(key);
        return value == null ? "not set" : TomlWriter.inline(value);
    }

    /** Returns whether another run has the tag, and will be moved. */
    public boolean replaces() {
        return replaces;
    }

    /**
     * Makes sure that a folder can hold runs under a tag, as far as that can be checked without an experiment.
     *
     * @throws ConfigException if not
     */
    public static void requirePlace(Path results, String tag) {
        Runs.tagProblem(tag).ifPresent(problem -> {
            throw new ConfigException(problem);
        });
        if (Files.exists(results) && !Files.isDirectory(results)) {
            throw new ConfigException(results + ": expected a folder for results, found something else of that name");
        }
    }

    /** Returns the fingerprint for the run's manifest. */
    public String fingerprint() {
        return plan.fingerprint();
    }

    /** Returns its stages, in order, and which of them are finished. */
    public List<PlannedStage> stages() {
        return runs.planned(plan);
    }

    /** Returns the files and folders that it reads, by what they are; those that the program brings along left out. */
    public Map<String, List<Path>> files() {
        Map<String, List<Path>> files = new LinkedHashMap<>();
        files.put(
                "the model",
                List.of(experiment.model().path(), experiment.model().tokenizer()));
        experiment
                .calibration()
                .ifPresent(settings ->
                        files.put("the calibration text", settings.text().files()));
        experiment
                .evaluation()
                .perplexities()
                .forEach(settings ->
                        files.put("the text " + settings.name(), settings.text().files()));
        experiment
                .evaluation()
                .tasks()
                .filter(settings -> !settings.data().isEmpty())
                .ifPresent(settings -> files.put("the tasks' data", List.of(Path.of(settings.data()))));
        return files;
    }

    /** Makes one of its stages, with those that it needs. */
    public void obtain(String stage) throws IOException {
        runs.obtain(plan, stage);
    }

    /**
     * Does some of the parts of a stage.
     *
     * @throws IllegalArgumentException if the stage has no parts
     */
    public void runParts(String stage, int from, int to) throws IOException {
        PartedStage parted = plan.stages().stream()
                .filter(each -> each.name().equals(stage))
                .filter(PartedStage.class::isInstance)
                .map(PartedStage.class::cast)
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(stage + " is no stage with parts"));
        runs.runParts(plan, parted, from, to);
    }

    /** Returns the run, if there is nothing left to do. */
    public Optional<Run> complete() throws IOException {
        return runs.complete(tag, plan.fingerprint());
    }

    /** Equal for runs of which {@link #check} needs to look at only one. */
    public Record inputs() {
        boolean calibrates = experiment.usesCalibration();
        return new Inputs(
                experiment.model(), experiment.calibration().filter(settings -> calibrates), experiment.evaluation());
    }

    /**
     * Checks the model's headers and the texts, unless all stages are already finished.
     *
     * @param force a stage to rerun even if it is finished
     * @throws ConfigException with all damaged files and all texts that are too short, or if there is no such stage
     * @throws IOException naming a file that cannot be read
     */
    public void check(Optional<String> force) throws IOException {
        force.ifPresent(this::requireStage);
        boolean cached =
                runs.cached(plan).keySet().containsAll(plan.fingerprints().keySet());
        if (force.isPresent() || !cached) {
            workspace.check();
        }
    }

    private void requireStage(String force) {
        try {
            plan.from(force);
        } catch (IllegalArgumentException e) {
            throw new ConfigException("--force: " + e.getMessage());
        }
    }

    /**
     * Runs the stages that are not finished, after another run with the tag was moved to the tag with a number, if that
     * was allowed.
     *
     * @param force a stage to rerun, with those that depend on it
     * @param finish adds files beside the config and the metrics
     */
    public Run run(Optional<String> force, String version, String commit, Finish finish) throws IOException {
        if (replaces && runs.conflict(tag, plan).isPresent()) {
            runs.setAside(tag);
        }
        experiment
                .modelNotes()
                .forEach(note -> log.warn("{}: {}", experiment.model().name(), note));
        experiment.located().warnings().forEach(log::warn);
        ExperimentPlan.unused(experiment).forEach(log::info);
        experiment
                .calibration()
                .filter(any -> experiment.usesCalibration())
                .ifPresent(used -> log.info("calibration: {}", used.description()));
        Provenance provenance = new Provenance(version, commit, Parallel.THREADS, workspace.sources());
        Run run = runs.run(tag, plan, force, provenance, (directory, manifest) -> {
            Files.writeString(directory.resolve(RunFiles.RESOLVED), TomlWriter.write(experiment.resolved()));
            if (experiment.allocation().isPresent()) {
                experiment.allocation().get().write(directory);
            }
            new ResultFiles(experiment, directory, manifest).write();
            Ledger.require(tag, experiment.strict(), Ledger.read(directory));
            finish.write(directory, manifest);
        });
        // one that was made without strict is complete all the same
        Path ledger = run.directory().resolve(RunFiles.LEDGER);
        Ledger.require(ledger.toString(), experiment.strict(), Ledger.read(run.directory()));
        return run;
    }

    @Override
    public void close() throws IOException {
        workspace.close();
    }
}
