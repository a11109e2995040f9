package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.calibrate.StatisticsFile;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.data.Text;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes statistics of activations in one full-precision pass: {@code statistics.safetensors}. */
final class CalibrateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(CalibrateStage.class);

    static final String NAME = RunFiles.CALIBRATE;

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
            WantedStatistics statistics) {}

    CalibrateStage(Workspace workspace, CalibrationSettings calibration) throws IOException {
        this.workspace = workspace;
        this.calibration = calibration;
        this.settings = new Settings(
                workspace.modelContent(),
                workspace.tokenizerContent(),
                workspace.content(calibration.text()),
                calibration.numSamples(),
                calibration.seqLen(),
                calibration.batchSize(),
                workspace.experiment().statistics());
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<String> inputs() {
        return List.of();
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 3;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        LanguageModel model = workspace.model();
        int[][] samples = workspace.calibrationSamples(calibration);
        Path file = unfinished.resolve(RunFiles.STATISTICS);
        try (StatisticsFile statistics = new StatisticsFile(
                        file, LanguageModel.linears(model.config()), settings.statistics(), calibration.batchSize());
                BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), false);
                HiddenStates states = model.embed(samples, calibration.batchSize());
                Progress progress = workspace
                        .reporter()
                        .start(NAME, (long) states.size() * model.config().blocks(), "block passes")) {
            runner.run(states, statistics, progress, NAME, workspace.unfinished(unfinished), statistics);
            statistics.finish();
        }
        Files.move(file, output.resolve(RunFiles.STATISTICS));
        log.info("{}: {} samples of {} tokens", NAME, samples.length, calibration.seqLen());
    }
}
