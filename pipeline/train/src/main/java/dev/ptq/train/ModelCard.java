package dev.ptq.train;

import dev.ptq.data.Chunks;
import dev.ptq.data.Digests;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.OmniquantStream;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.TextSampler;
import dev.ptq.evaluate.TokenChoice;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ResumeState;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;

/** Writes the card of a model: how it was made, and how well it does on unseen texts. */
final class ModelCard {
    private static final int BATCH = 8;
    private static final int SAMPLE_TOKENS = 60;

    private ModelCard() {}

    /** Measures the model in {@code folder} and returns the text of its card. */
    static String write(
            Recipe recipe,
            Map<String, ReferenceModel.Texts> texts,
            ReferenceTraining training,
            Tokenizer tokenizer,
            Path folder,
            String command,
            Progress.Reporter reporter)
            throws IOException {
        Recipe.Shape shape = recipe.shape();
        Recipe.Schedule schedule = recipe.schedule();
        StringBuilder card = new StringBuilder();
        line(card, "# A small language model for experiments with quantization");
        line(card, "");
        line(
                card,
                "A llama with %d blocks, hidden size %d, %d heads that share %d key and value heads, and a vocabulary of"
                        + " %d. It has learned from %s and knows nothing else. Made to be quantized, not to be asked.",
                shape.blocks(),
                shape.hiddenSize(),
                shape.heads(),
                shape.kvHeads(),
                shape.vocabSize(),
                String.join(", ", recipe.shares().keySet()));
        line(card, "");
        line(card, "## How it was made");
        line(card, "");
        line(card, "```");
        line(card, "%s", command);
        line(card, "```");
        line(card, "");
        long tokens = (long) schedule.steps() * schedule.batchSize() * schedule.seqLen();
        line(
                card,
                "%.0f minutes on %d threads, checkpoints included. %d steps of %d sequences of %d tokens, %.1f million in"
                        + " all; AdamW, learning rate %s after %d steps, then a cosine down to %s; weight decay %s,"
                        + " gradients clipped to norm %s, dropout %s; seed %d. Of the weights seen every %d steps these"
                        + " did best on the validation texts.",
                training.state().seconds() / 60,
                Parallel.THREADS,
                schedule.steps(),
                schedule.batchSize(),
                schedule.seqLen(),
                tokens / 1e6,
                schedule.peakRate(),
                schedule.warmup(),
                schedule.finalRate(),
                schedule.weightDecay(),
                schedule.gradientNorm(),
                schedule.dropout(),
                recipe.seed(),
                schedule.evaluateEvery());
        line(card, "");
        line(card, "![loss by tokens](%s)", LossCurve.CHART);
        line(card, "");
        line(card, "The figures are in [%1$s](%1$s). SHA-256 of `model.safetensors`:", LossCurve.TABLE);
        line(card, "`%s`", Digests.of(folder.resolve("model.safetensors")));
        line(card, "");
        line(card, "## How well it does");
        line(card, "");
        line(
                card,
                "Perplexity per token on the test split: chunks of %d tokens, the first of each not scored. The trigram"
                        + " model is interpolated Kneser-Ney over the same tokens; of four (trained on all texts or on"
                        + " this corpus only, with or without context across chunks) the best is given.",
                schedule.seqLen());
        line(card, "");
        line(card, "| text | share of training | scored tokens | trigram | this model |");
        line(card, "|---|---:|---:|---:|---:|");
        List<String> samples = new ArrayList<>();
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), true)) {
            TextSampler sampler = new TextSampler(model, runner, tokenizer);
            for (Map.Entry<String, Double> share : recipe.shares().entrySet()) {
                String corpus = share.getKey();
                ReferenceModel.Texts own = recipe.of(texts, corpus);
                int[][] chunks = Chunks.oneStream(own.test().rows(), tokenizer, schedule.seqLen());
                Perplexity.Result result = Perplexity.evaluate(
                        new Perplexity.Models(model, runner),
                        new PerplexitySettings(
                                corpus,
                                own.test(),
                                schedule.seqLen(),
                                PerplexityProtocol.GPTQ,
                                OmniquantStream.WIKITEXT2,
                                OptionalInt.empty(),
                                BATCH,
                                false),
                        chunks,
                        OptionalInt.empty(),
                        ResumeState.none(),
                        reporter);
                line(
                        card,
                        "| %s | %.0f %% | %d | %.1f | %.1f |",
                        corpus,
                        100 * share.getValue(),
                        result.scoredTokens(),
                        Math.exp(trigramLoss(recipe, training, corpus, chunks)),
                        result.perplexity());
                String prompt = start(own.test().rows().get(0));
                samples.add(sampler.continued(prompt, SAMPLE_TOKENS, new TokenChoice(0.8, 1), recipe.seed(), reporter));
            }
        }
        line(card, "");
        line(card, "What it writes after the first words of a test document, at temperature 0.8:");
        line(card, "");
        for (String sample : samples) {
            line(card, "> %s", sample.replaceAll("\\s*\\n\\s*", " / "));
            line(card, "");
        }
        return card.toString().stripTrailing() + "\n";
    }

    private static double trigramLoss(Recipe recipe, ReferenceTraining training, String corpus, int[][] chunks) {
        int vocabulary = recipe.shape().vocabSize();
        int length = recipe.schedule().seqLen();
        int[] test = Arrays.stream(chunks).flatMapToInt(Arrays::stream).toArray();
        List<int[]> all = training.trainingTokens().values().stream()
                .map(TokenStream::tokens)
                .toList();
        List<int[]> own = List.of(
                Objects.requireNonNull(training.trainingTokens().get(corpus)).tokens());
        double best = Double.POSITIVE_INFINITY;
        for (List<int[]> trained : List.of(all, own)) {
            TrigramModel trigram = TrigramModel.train(trained, vocabulary);
            for (TrigramModel.Context context : TrigramModel.Context.values()) {
                best = Math.min(best, trigram.loss(test, length, context));
            }
        }
        return best;
    }

    /** The first three words. */
    private static String start(String document) {
        String[] words = document.split(" ", 4);
        return String.join(" ", Arrays.copyOf(words, Math.min(3, words.length)));
    }

    private static void line(StringBuilder card, String format, Object... values) {
        card.append(String.format(Locale.ROOT, format, values)).append('\n');
    }
}
