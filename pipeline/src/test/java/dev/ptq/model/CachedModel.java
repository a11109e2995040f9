package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.method.KnownLinears;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** A model whose cache is rounded, its static ranges from calibration. */
final class CachedModel {
    private static final Key<ConfigTable> QUANTIZATION =
            Key.table("quantization", QuantizationSettings.SECTION).says("formats");
    private static final Section FILE = Section.of("file", QUANTIZATION);

    private CachedModel() {}

    /** Reads what follows {@code [quantization]}. */
    static QuantizationSettings read(String toml) {
        ConfigTable table = ConfigTable.parse("[quantization]\n" + toml, "test", List.of(), FILE);
        QuantizationSettings settings = QuantizationSettings.read(table.read(QUANTIZATION));
        table.finish();
        return settings;
    }

    /** Returns the statistics that the formats of the cache ask for, of samples of one length. */
    static ActivationStatistics statistics(LanguageModel model, QuantizationSettings settings, int[][] samples)
            throws IOException {
        List<WantedStatistics.OfCache> wanted = new ArrayList<>();
        settings.attention()
                .statics()
                .forEach((hookPoint, format) -> wanted.add(
                        new WantedStatistics.OfCache(hookPoint, List.copyOf(KnownLinears.statistics(format.needs())))));
        try (ActivationStatistics.Collector collector = new ActivationStatistics.Collector(
                WantedStatistics.ofEvery(Set.of()).withCache(wanted), 1)) {
            run(model, BlockRunner.BlockChange.none(), samples, collector).close();
            return collector.finished();
        }
    }

    /** Returns the formats with static ranges from samples of one length. */
    static ModelFormats calibrated(LanguageModel model, QuantizationSettings settings, int[][] samples)
            throws IOException {
        ModelFormats formats = ModelFormats.of(settings, model.config());
        List<LinearSpec> linears = LanguageModel.linears(model.config());
        ActivationStatistics statistics = statistics(model, settings, samples);
        return formats.knowing(
                linears,
                new KnownLinears(
                        "calibration",
                        () -> statistics,
                        ExpertTokens.none(),
                        linears,
                        formats,
                        (manager, linear) -> model.weights().load(manager, linear.weightName())));
    }

    /** Takes samples through the blocks. */
    static HiddenStates run(
            LanguageModel model, BlockRunner.BlockChange change, int[][] samples, ActivationObserver observer)
            throws IOException {
        HiddenStates states = model.embed(samples, 2);
        try (BlockRunner runner = new BlockRunner(model, change, false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, observer, progress);
        }
        return states;
    }

    /** Returns the logits of a sequence, token by token. */
    static float[] logits(LanguageModel model, BlockRunner.BlockChange change, int[] tokens) throws IOException {
        try (HiddenStates states = run(model, change, new int[][] {tokens}, ActivationObserver.NONE);
                NDArray logits = Scoring.logits(model, states, 0)) {
            return logits.toFloatArray();
        }
    }
}
