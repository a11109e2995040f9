package dev.ptq.experiment;

import dev.ptq.artifact.RankCorrelationColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.artifact.TruthColumn;
import dev.ptq.config.ConfigException;
import dev.ptq.config.TomlWriter;
import dev.ptq.progress.Progress;
import dev.ptq.run.Finish;
import dev.ptq.run.Plan;
import dev.ptq.run.Provenance;
import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import dev.ptq.stage.Candidate;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.JsonFiles;
import dev.ptq.stage.Stages;
import dev.ptq.stage.Tables;
import dev.ptq.stage.WeightScores;
import dev.ptq.stage.WeightScores.Score;
import dev.ptq.stage.Workspace;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Scores how sensitive a model is to the errors that an experiment leaves in each of its weights, under a tag. */
public final class SensitivityRun implements AutoCloseable {
    private static final String CORRELATION = "rank_correlation/";

    private final Experiment experiment;
    private final String tag;
    private final Runs runs;
    private final Workspace workspace;
    private final Plan plan;

    private SensitivityRun(Experiment experiment, String tag, Runs runs, Workspace workspace, Plan plan) {
        this.experiment = experiment;
        this.tag = tag;
        this.runs = runs;
        this.workspace = workspace;
        this.plan = plan;
    }

    /**
     * Plans the run and checks the model and the text; nothing is written.
     *
     * @param source the name of the config in messages
     * @param truth whether each weight is also rounded alone
     * @throws ConfigException if the errors of the experiment cannot be compared, or the run cannot have that tag
     */
    public static SensitivityRun prepare(
            Experiment experiment, String source, Path results, String tag, boolean truth, Progress.Reporter reporter)
            throws IOException {
        ExperimentRun.requirePlace(results, tag);
        Candidate candidate = new Candidate(experiment);
        candidate.require(source);
        if (experiment.quantization().isNone() && experiment.steps().isEmpty()) {
            throw new ConfigException(source + ": nothing is rounded, so no weight has an error: add a"
                    + " [quantization.weight] section");
        }
        Workspace workspace = new Workspace(experiment, reporter);
        try {
            Plan plan = new Plan(Stages.ofSensitivity(workspace, List.of(candidate), truth));
            Runs runs = new Runs(results);
            runs.conflict(tag, plan).ifPresent(conflict -> {
                throw new ConfigException(conflict.message());
            });
            if (!runs.cached(plan).keySet().containsAll(plan.fingerprints().keySet())) {
                workspace.check();
            }
            return new SensitivityRun(experiment, tag, runs, workspace, plan);
        } catch (IOException | RuntimeException e) {
            workspace.close();
            throw e;
        }
    }

    /**
     * Runs the stages that are not finished.
     *
     * @param finish adds files beside the tables
     */
    public Run run(String version, String commit, Finish finish) throws IOException {
        Provenance provenance = new Provenance(version, commit, Parallel.THREADS, workspace.sources());
        return runs.run(tag, plan, Optional.empty(), provenance, (directory, manifest) -> {
            Files.writeString(directory.resolve(RunFiles.RESOLVED), TomlWriter.write(experiment.resolved()));
            writeCorrelations(directory);
            finish.write(directory, manifest);
        });
    }

    private static void writeCorrelations(Path run) throws IOException {
        Map<String, Object> metrics = new LinkedHashMap<>();
        List<List<Object>> rows = new ArrayList<>();
        int linears = WeightScores.read(run.resolve(RunFiles.SENSITIVITY)).size();
        correlations(run).forEach((score, value) -> {
            rows.add(List.of(score.label(), value, linears));
            metrics.put(CORRELATION + score.label(), value);
        });
        if (!rows.isEmpty()) {
            Tables.write(run.resolve(RunFiles.CORRELATIONS), TableColumn.header(RankCorrelationColumn.values()), rows);
        }
        JsonFiles.write(run.resolve(RunFiles.METRICS), metrics);
    }

    /**
     * Returns the rank correlation of each score with the loss that a weight adds when it is rounded alone.
     *
     * @param run the directory
     * @return empty if no weight was rounded alone
     */
    public static Map<Score, Double> correlations(Path run) throws IOException {
        Map<Score, Double> correlations = new TreeMap<>();
        Path truth = run.resolve(RunFiles.TRUTH).resolve(RunFiles.LAYERS);
        if (!Files.exists(truth)) {
            return correlations;
        }
        double[] differences = Tables.read(truth, TableColumn.header(TruthColumn.values())).stream()
                .mapToDouble(row -> Double.parseDouble(Tables.cell(row, TruthColumn.LOSS_DIFFERENCE)))
                .toArray();
        List<WeightScores> scores = WeightScores.read(run.resolve(RunFiles.SENSITIVITY));
        for (Score which : Score.values()) {
            correlations.put(
                    which,
                    Spearman.of(
                            scores.stream().mapToDouble(row -> row.score(which)).toArray(), differences));
        }
        return correlations;
    }

    @Override
    public void close() throws IOException {
        workspace.close();
    }
}
