package dev.ptq.stage;

import dev.ptq.artifact.ExpertColumn;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.calibrate.ExpertSettings;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.StatisticsFile;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.data.Text;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes statistics of activations in one full-precision pass: {@code statistics.safetensors}, {@code ledger.csv}. */
final class CalibrateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(CalibrateStage.class);

    static final String NAME = RunFiles.CALIBRATE;
    /** Experts that a message names. */
    private static final int NAMED = 16;

    private final Workspace workspace;
    private final CalibrationSettings calibration;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model,
            Workspace.TokenizerContent tokenizer,
            Text.Content text,
            int numSamples,
            int seqLen,
            int batchSize,
            @OmittedIfEmpty Optional<Long> drawnBy,
            Optional<ExpertSettings> experts,
            WantedStatistics statistics) {}

    CalibrateStage(Workspace workspace, CalibrationSettings calibration) throws IOException {
        this(workspace, calibration, workspace.experiment().statistics());
    }

    /** Takes other statistics than the experiment needs. */
    CalibrateStage(Workspace workspace, CalibrationSettings calibration, WantedStatistics statistics)
            throws IOException {
        this.workspace = workspace;
        this.calibration = calibration;
        this.settings = new Settings(
                workspace.preparedContent(),
                workspace.tokenizerContent(),
                workspace.content(calibration.text()),
                calibration.numSamples(),
                calibration.seqLen(),
                calibration.batchSize(),
                calibration.drawnBy(),
                calibration.experts(),
                statistics);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<String> inputs() {
        return workspace.preparing();
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 4;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        Ledger ledger = new Ledger(workspace.experiment().strict());
        LanguageModel model = workspace.preparedModel(inputs);
        int[][] samples = workspace.calibrationSamples(calibration);
        Path file = unfinished.resolve(RunFiles.STATISTICS);
        try (StatisticsFile statistics = new StatisticsFile(
                        file, LanguageModel.inputs(model.config()), settings.statistics(), calibration.batchSize());
                BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), false);
                HiddenStates states = model.embed(samples, calibration.batchSize());
                Progress progress = workspace
                        .reporter()
                        .start(NAME, (long) states.size() * model.config().blocks(), "block passes")) {
            runner.run(states, statistics, progress, NAME, workspace.unfinished(unfinished), statistics);
            statistics.finish();
        }
        if (calibration.experts().isPresent()) {
            reportExperts(
                    ExpertTokens.of(
                            ActivationStatistics.read(file),
                            LanguageModel.inputs(model.config()),
                            calibration.experts()),
                    ledger,
                    output);
        }
        ledger.write(output);
        Files.move(file, output.resolve(RunFiles.STATISTICS));
        log.info("{}: {} samples of {} tokens", NAME, samples.length, calibration.seqLen());
    }

    /** Writes the tokens of all experts; those with too few come into the ledger. */
    private void reportExperts(ExpertTokens experts, Ledger ledger, Path output) throws IOException {
        List<List<Object>> rows = new ArrayList<>();
        experts.counts().forEach(count -> rows.add(List.of(count.block(), count.expert(), count.tokens())));
        Tables.write(output.resolve(RunFiles.EXPERTS), TableColumn.header(ExpertColumn.values()), rows);
        ExpertSettings rule = calibration.experts().orElseThrow();
        List<ExpertTokens.Count> few = experts.few();
        if (few.isEmpty() || rule.policy() == ExpertSettings.Policy.ROUTE_ALL) {
            return;
        }
        if (rule.policy() == ExpertSettings.Policy.ERROR) {
            throw new IOException(few.size() + " of " + rows.size() + " experts get fewer than " + rule.minTokens()
                    + " tokens of calibration: "
                    + few.stream().limit(NAMED).map(Object::toString).collect(Collectors.joining(", "))
                    + (few.size() > NAMED ? ", ..." : "")
                    + "; take more samples, or another expert_policy than \"error\"");
        }
        ledger.add(
                NAME,
                few.stream()
                        .map(count -> new LedgerEntry(
                                LedgerEvent.FEW_TOKENS,
                                NAME,
                                "blocks." + count.block() + ".experts." + count.expert(),
                                count.tokens(),
                                count.tokens() + " tokens of calibration, expected at least " + rule.minTokens()
                                        + "; no method works on it, its weights are rounded to nearest"))
                        .toList());
    }
}
