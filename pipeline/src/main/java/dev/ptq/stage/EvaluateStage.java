package dev.ptq.stage;

import dev.ptq.artifact.DivergenceColumn;
import dev.ptq.artifact.Metric;
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
            boolean divergence) {}

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
                perplexity.divergence() && variant != Variant.FULL_PRECISION);
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
        write(variantSettings.run(workspace, inputs, runner -> evaluate(runner, inputs, unfinished)), output);
    }

    /** Writes the artifacts. */
    void write(Perplexity.Result result, Path output) throws IOException {
        Map<Metric, Double> metrics = Perplexity.metrics(perplexity, result);
        settings.quantization()
                .attention(0)
                .kv()
                .ifPresent(kv -> metrics.put(
                        Metric.KV_BITS_PER_VALUE,
                        kv.bitsPerValue(workspace.experiment().shape(), settings.seqLen())));
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
            return Perplexity.evaluate(
                    new Perplexity.Models(model, runner, settings.divergence() ? Optional.of(exact) : Optional.empty()),
                    perplexity,
                    workspace.chunks(perplexity),
                    workspace.tokenizer().padId(),
                    workspace.unfinished(unfinished),
                    workspace.reporter());
        }
    }
}
