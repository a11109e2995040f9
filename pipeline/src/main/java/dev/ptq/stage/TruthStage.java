package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.artifact.TruthColumn;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.EnteringStates;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.Predictions;
import dev.ptq.model.TargetPositions;
import dev.ptq.progress.Progress;
import dev.ptq.run.AtomicFile;
import dev.ptq.run.Stage;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Measures the loss of the calibration samples with the weight of one linear alone rounded, for each: {@code layers.csv}.
 * Every linear takes a pass through its block and all behind it.
 */
final class TruthStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(TruthStage.class);

    private final Workspace workspace;
    private final CalibrationSettings calibration;
    private final Candidate candidate;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model, Workspace.SampleContent samples, Candidate.Content candidate) {}

    TruthStage(Workspace workspace, CalibrationSettings calibration, Candidate candidate) throws IOException {
        this.workspace = workspace;
        this.calibration = calibration;
        this.candidate = candidate;
        this.settings = new Settings(workspace.modelContent(), workspace.content(calibration), candidate.content());
    }

    @Override
    public String name() {
        return RunFiles.TRUTH;
    }

    @Override
    public List<String> inputs() {
        return List.of(RunFiles.CALIBRATE);
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 1;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        LanguageModel model = workspace.model();
        RoundedBlock.Rounding rounding = RoundedBlock.by(candidate, workspace, model, inputs);
        int[][] samples = workspace.calibrationSamples(calibration);
        TargetPositions places = TargetPositions.ofNextTokens(samples);
        List<LinearSpec> linears = LanguageModel.linears(model.config());
        Path file = unfinished.resolve("losses.txt");
        List<String> losses = new ArrayList<>(Files.exists(file) ? Files.readAllLines(file) : List.of());
        int blocks = model.config().blocks();
        double exact;
        Map<Integer, Block> kept = new HashMap<>();
        try (Progress progress = workspace.reporter().start(RunFiles.TRUTH, (long) blocks + linears.size(), "passes");
                BlockPass pass = new BlockPass(model)) {
            EnteringStates entering = EnteringStates.of(model, SensitivityStage.inputs(samples), unfinished, progress);
            try (HiddenStates last = entering.states(blocks)) {
                exact = mean(model.predictions(last, places), places);
            }
            for (int block = 0; block < blocks; block++) {
                List<LinearSpec> own = QuantizedModel.linears(model.config(), block);
                int before = linears.indexOf(own.get(0));
                if (losses.size() >= before + own.size()) {
                    continue;
                }
                try (NDManager owner = TensorEngine.newManager()) {
                    RoundedBlock rounded = rounding.round(block, owner);
                    for (LinearSpec linear : own.subList(Math.max(0, losses.size() - before), own.size())) {
                        try (HiddenStates states = entering.states(block)) {
                            for (int index = block; index < blocks; index++) {
                                advance(pass, take(kept, model, index), linear, rounded, states);
                            }
                            losses.add(Double.toString(mean(model.predictions(states, places), places)));
                        }
                        AtomicFile.replace(file, String.join("\n", losses) + "\n");
                        progress.step((long) blocks + losses.size());
                    }
                }
            }
        } finally {
            kept.values().forEach(Block::close);
        }
        List<List<Object>> rows = new ArrayList<>();
        for (int i = 0; i < linears.size(); i++) {
            double loss = Double.parseDouble(losses.get(i));
            if (!Double.isFinite(loss)) {
                throw new IOException(linears.get(i).module() + ": rounded alone it makes a loss of " + loss);
            }
            rows.add(List.of(linears.get(i).module(), loss, loss - exact));
        }
        Tables.write(output.resolve(RunFiles.LAYERS), TableColumn.header(TruthColumn.values()), rows);
        log.info("{}: {} linears rounded alone, loss in full precision {}", RunFiles.TRUTH, rows.size(), exact);
    }

    private Block take(Map<Integer, Block> kept, LanguageModel model, int index) throws IOException {
        Block block = kept.get(index);
        if (block == null) {
            block = model.load(index);
            if (workspace.resident()) {
                kept.put(index, block);
            }
        }
        return block;
    }

    /** Takes states through a block, with the one weight rounded if it is in there. */
    private void advance(BlockPass pass, Block block, LinearSpec linear, RoundedBlock rounded, HiddenStates states)
            throws IOException {
        try {
            if (block.index() == linear.block()) {
                try (Block changed = block.with(Map.of(linear.path() + ".weight", rounded.weight(linear)))) {
                    pass.advance(changed, states, ActivationObserver.NONE);
                }
            } else {
                pass.advance(block, states, ActivationObserver.NONE);
            }
        } finally {
            if (!workspace.resident()) {
                block.close();
            }
        }
    }

    private static double mean(Predictions predictions, TargetPositions places) {
        double sum = 0;
        for (int i = 0; i < places.count(); i++) {
            sum += predictions.loss(i);
        }
        return sum / places.count();
    }
}
