package dev.ptq.stage;

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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes the perplexity of one variant of the model on one text: {@code scores.json}, {@code chunks.csv}. */
final class EvaluateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(EvaluateStage.class);

    static final String NAME = "evaluate";
    static final String SCORES = "scores.json";
    static final String NOTE = "note";
    static final String DIVERGENCE = "kl_divergence";
    static final String AGREEMENT = "top1_agreement";

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
        return directory(variant, perplexity);
    }

    static String directory(Variant variant, PerplexitySettings perplexity) {
        return NAME + "/" + variant.label() + "/" + perplexity.name();
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
        return 4;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        write(variantSettings.run(workspace, inputs, runner -> evaluate(runner, unfinished)), output);
    }

    /** Writes the artifacts. */
    void write(Perplexity.Result result, Path output) throws IOException {
        Map<String, Object> scores = new LinkedHashMap<>();
        scores.put("perplexity", result.perplexity());
        scores.put("loss", result.loss());
        scores.putAll(Perplexity.perWordAndByte(perplexity, result));
        if (variant == Variant.ADAPTED) {
            scores.put(NOTE, TestTimeAdaptation.NOTE);
        }
        scores.put("dataset", perplexity.text().label());
        scores.put("bos", settings.protocol().startRule(workspace.tokenizer()));
        scores.put("text_sha256", settings.text().sha256());
        scores.put("tokenizer_sha256", settings.tokenizer().sha256());
        scores.put("protocol", settings.protocol().name().toLowerCase(Locale.ROOT));
        scores.put("seq_len", settings.seqLen());
        scores.put("batch_size", settings.batchSize());
        scores.put("chunks", result.chunks().size());
        scores.put("tokens", result.scoredTokens());
        result.divergence().ifPresent(mean -> {
            scores.put(DIVERGENCE, mean.divergence());
            scores.put(AGREEMENT, mean.agreement());
        });
        JsonFiles.write(output.resolve(SCORES), scores);
        ChunkTable.write(output, result.chunks());
        if (settings.divergence()) {
            List<List<Object>> rows = new ArrayList<>();
            for (Perplexity.ChunkDivergence chunk : result.divergences()) {
                boolean scored = !Double.isNaN(chunk.divergence());
                rows.add(List.of(rows.size(), scored ? chunk.divergence() : "", scored ? chunk.agreement() : ""));
            }
            Tables.write(output.resolve("divergences.csv"), List.of("chunk", DIVERGENCE, AGREEMENT), rows);
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

    /** Scores the text with the blocks that a runner makes. */
    Perplexity.Result evaluate(BlockRunner runner, Path unfinished) throws IOException {
        LanguageModel model = workspace.model();
        try (BlockRunner exact = new BlockRunner(model, BlockRunner.BlockChange.none(), workspace.resident())) {
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
