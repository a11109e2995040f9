package dev.ptq.export;

import dev.ptq.artifact.RunFiles;
import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.progress.Progress;
import dev.ptq.run.Manifest;
import dev.ptq.run.Plan;
import dev.ptq.run.SmallFile;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.FinishedModel;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** A finished run whose model and stages are what they were. Its folder may be anyone's. */
final class FinishedRun implements AutoCloseable {
    private final Path folder;
    private final Manifest manifest;
    private final Experiment experiment;
    private final String config;
    private final Workspace workspace;

    private FinishedRun(Path folder, Manifest manifest, Experiment experiment, String config, Workspace workspace) {
        this.folder = folder;
        this.manifest = manifest;
        this.experiment = experiment;
        this.config = config;
        this.workspace = workspace;
    }

    /**
     * Opens the folder of a run.
     *
     * @throws IOException naming the file that is missing or damaged, or the stage that is another now
     */
    static FinishedRun open(Path folder, Progress.Reporter reporter) throws IOException {
        Manifest manifest = Manifest.read(folder);
        Path file = folder.resolve(RunFiles.RESOLVED);
        String config = new String(SmallFile.read(file), StandardCharsets.UTF_8);
        Experiment experiment = Experiment.parse(config, file.toString());
        Workspace workspace = new Workspace(experiment, reporter);
        try {
            FinishedRun run = new FinishedRun(folder, manifest, experiment, config, workspace);
            run.requireSameStages();
            return run;
        } catch (IOException | RuntimeException e) {
            workspace.close();
            throw e;
        }
    }

    private void requireSameStages() throws IOException {
        Plan plan = ExperimentPlan.of(workspace);
        for (String stage : FinishedModel.inputs(workspace)) {
            Manifest.StageEntry made = manifest.stages().get(stage);
            if (made == null || !made.fingerprint().equals(plan.fingerprint(stage))) {
                throw new IOException(folder + ": stage " + stage
                        + " was made from another model, by other settings or by another version of this program;"
                        + " run its " + RunFiles.RESOLVED + " again and export that run");
            }
            if (!Files.isDirectory(folder.resolve(stage), LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(folder.resolve(stage) + ": expected the folder of a stage, found none; the run"
                        + " is not whole");
            }
        }
    }

    Experiment experiment() {
        return experiment;
    }

    /** The content of its config, with every key. */
    String config() {
        return config;
    }

    Manifest manifest() {
        return manifest;
    }

    /** The name of its folder. */
    String name() {
        return String.valueOf(folder.toAbsolutePath().normalize().getFileName());
    }

    /** The file of its metrics. */
    Path metrics() {
        return folder.resolve(RunFiles.METRICS);
    }

    FinishedModel model() throws IOException {
        Map<String, Path> artifacts = new LinkedHashMap<>();
        FinishedModel.inputs(workspace).forEach(stage -> artifacts.put(stage, folder.resolve(stage)));
        return FinishedModel.open(workspace, artifacts);
    }

    @Override
    public void close() throws IOException {
        workspace.close();
    }
}
