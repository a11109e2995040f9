package dev.ptq.stage;

import dev.ptq.artifact.DivergenceColumn;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.PerturbationColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.artifact.TextCondition;
import dev.ptq.artifact.Variant;
import dev.ptq.data.Text;
import dev.ptq.evaluate.OmniquantStream;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.method.Method;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.run.Stage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Measures the perplexity of one variant of the model on one text: {@code scores.json}, {@code chunks.csv}. */
final class EvaluateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(EvaluateStage.class);

    /** Some twenty steps of float32: next to nothing for the model, enough for other roundings. */
    private static final double PERTURBATION = 1e-6;

    private final Workspace workspace;
    private final Variant variant;
    private final PerplexitySettings perplexity;
    private final VariantSettings variantSettings;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model,
            Workspace.TokenizerContent tokenizer,
            QuantizationSettings quantization,
            List<Method> steps,
            Text.Content text,
            int seqLen,
            PerplexityProtocol protocol,
            OmniquantStream stream,
            OptionalInt maxSamples,
            int batchSize,
            boolean divergence,
            int perturbations) {}

    EvaluateStage(Workspace workspace, Variant variant, PerplexitySettings perplexity) throws IOException {
        this.workspace = workspace;
        this.variant = variant;
        this.perplexity = perplexity;
        this.variantSettings = VariantSettings.of(workspace, variant);
        this.settings = new Settings(
                variantSettings.model(),
                workspace.tokenizerContent(),
                variantSettings.quantization(),
                variantSettings.steps(),
                workspace.content(perplexity.text()),
                perplexity.seqLen(),
                perplexity.protocol(),
                perplexity.stream(),
                perplexity.maxSamples(),
                perplexity.batchSize(),
                perplexity.divergence() && variant != Variant.FULL_PRECISION,
                variant == Variant.QUANTIZED || variant == Variant.ROUND_TO_NEAREST
                        ? workspace.experiment().evaluation().perturbations()
                        : 0);
    }

    @Override
    public String name() {
        return RunFiles.text(variant, perplexity.name());
    }

    @Override
    public List<String> inputs() {
        return variantSettings.inputs();
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 5;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        Perplexity.Result result =
                variantSettings.run(workspace, inputs, runner -> evaluate(runner, inputs, unfinished));
        write(result, perturbed(result.loss(), inputs, unfinished), output);
    }

    /** A loss with the weight of the first norm multiplied by a scale. */
    private record Perturbed(double scale, double loss) {}

    /** Returns the loss of the model as it is and of its perturbations; empty if none are asked for. */
    private List<Perturbed> perturbed(double loss, Map<String, Path> inputs, Path unfinished) throws IOException {
        List<Perturbed> losses = new ArrayList<>();
        for (int i = 0; i < settings.perturbations(); i++) {
            double scale = 1 + (i % 2 == 0 ? 1 : -1) * (1 + i / 2) * PERTURBATION;
            BlockRunner.BlockChange change = block -> {
                if (block.index() == 0) {
                    block.scaleNorm(scale);
                }
            };
            Path part = Files.createDirectories(unfinished.resolve("perturbation-" + (i + 1)));
            losses.add(new Perturbed(
                    scale,
                    variantSettings
                            .run(workspace, inputs, change, runner -> evaluate(runner, Optional.empty(), inputs, part))
                            .loss()));
        }
        if (!losses.isEmpty()) {
            losses.add(0, new Perturbed(1, loss));
        }
        return losses;
    }

    /** Writes the artifacts. */
    void write(Perplexity.Result result, Path output) throws IOException {
        write(result, List.of(), output);
    }

    private void write(Perplexity.Result result, List<Perturbed> perturbed, Path output) throws IOException {
        Map<Metric, Double> metrics = Perplexity.metrics(perplexity, result);
        settings.quantization()
                .attention(0)
                .kv()
                .ifPresent(kv -> metrics.put(
                        Metric.KV_BITS_PER_VALUE,
                        kv.bitsPerValue(workspace.experiment().shape(), settings.seqLen())));
        if (!perturbed.isEmpty()) {
            metrics.put(
                    Metric.NUMERICAL_SPREAD,
                    perturbed.stream()
                            .mapToDouble(one -> Math.abs(one.loss() - result.loss()))
                            .max()
                            .orElseThrow());
            Tables.write(
                    output.resolve(RunFiles.PERTURBATIONS),
                    TableColumn.header(PerturbationColumn.values()),
                    perturbed.stream()
                            .map(one -> List.<Object>of(one.scale(), one.loss()))
                            .toList());
        }
        new Scores(metrics, conditions(result)).write(output);
        ChunkTable.write(output, result.chunks());
        if (settings.divergence()) {
            writeDivergences(result, output);
        }
        long unscored =
                result.chunks().stream().filter(chunk -> chunk.tokens() == 0).count();
        log.info(
                "{}: perplexity {} over {} chunks{}",
                name(),
                String.format(Locale.ROOT, "%.4f", result.perplexity()),
                result.chunks().size(),
                unscored == 0 ? "" : ", less " + unscored + " of nothing but padding");
    }

    private Map<TextCondition, Object> conditions(Perplexity.Result result) throws IOException {
        Map<TextCondition, Object> conditions = new EnumMap<>(TextCondition.class);
        if (variant == Variant.ADAPTED) {
            conditions.put(TextCondition.NOTE, TestTimeAdaptation.NOTE);
        }
        settings.quantization()
                .checkpoint()
                .filter(formats -> variant == Variant.QUANTIZED)
                .ifPresent(formats -> conditions.put(TextCondition.NOTE, formats.note()));
        conditions.put(TextCondition.DATASET, perplexity.text().label());
        conditions.put(TextCondition.BOS, settings.protocol().startRule(workspace.tokenizer()));
        conditions.put(TextCondition.TEXT_SHA256, settings.text().sha256());
        conditions.put(TextCondition.TOKENIZER_SHA256, settings.tokenizer().sha256());
        conditions.put(TextCondition.PROTOCOL, settings.protocol().name().toLowerCase(Locale.ROOT));
        conditions.put(TextCondition.SEQ_LEN, (long) settings.seqLen());
        conditions.put(TextCondition.BATCH_SIZE, (long) settings.batchSize());
        conditions.put(TextCondition.CHUNKS, (long) result.chunks().size());
        conditions.put(TextCondition.TOKENS, result.scoredTokens());
        return conditions;
    }

    private static void writeDivergences(Perplexity.Result result, Path output) throws IOException {
        List<List<Object>> rows = new ArrayList<>();
        for (Perplexity.ChunkDivergence chunk : result.divergences()) {
            boolean scored = !Double.isNaN(chunk.divergence());
            rows.add(List.of(rows.size(), scored ? chunk.divergence() : "", scored ? chunk.agreement() : ""));
        }
        Tables.write(output.resolve(RunFiles.DIVERGENCES), TableColumn.header(DivergenceColumn.values()), rows);
    }

    /** Scores the text with the blocks of a runner. */
    Perplexity.Result evaluate(BlockRunner runner, Map<String, Path> inputs, Path unfinished) throws IOException {
        LanguageModel model = variantSettings.exact(workspace, inputs);
        try (BlockRunner exact = workspace.runner(model, BlockRunner.BlockChange.none())) {
            return evaluate(runner, settings.divergence() ? Optional.of(exact) : Optional.empty(), inputs, unfinished);
        }
    }

    private Perplexity.Result evaluate(
            BlockRunner runner, Optional<BlockRunner> reference, Map<String, Path> inputs, Path unfinished)
            throws IOException {
        return Perplexity.evaluate(
                new Perplexity.Models(variantSettings.exact(workspace, inputs), runner, reference),
                perplexity,
                workspace.chunks(perplexity),
                workspace.tokenizer().padId(),
                workspace.unfinished(unfinished),
                workspace.reporter());
    }
}
