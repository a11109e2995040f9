package dev.ptq.evaluate;

import ai.djl.ndarray.NDArray;
import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.util.Arrays;
import java.util.OptionalInt;
import java.util.SplittableRandom;

/**
 * Samples text from a model, a token at a time. Each token takes a pass over all tokens before it: slower than caching
 * keys and values, but right whatever the runner does to the blocks.
 */
public final class TextSampler {
    private static final Progress SILENT = Progress.Reporter.none().start("pass", 1, "tokens");

    private final LanguageModel model;
    private final BlockRunner runner;
    private final Tokenizer tokenizer;

    /**
     * Makes a sampler.
     *
     * @param runner of {@code model}; each token is a run, so it should be a resident one
     * @param tokenizer of {@code model}
     */
    public TextSampler(LanguageModel model, BlockRunner runner, Tokenizer tokenizer) {
        this.model = model;
        this.runner = runner;
        this.tokenizer = tokenizer;
    }

    /**
     * Returns the prompt and its continuation, up to {@code tokens} tokens or the end of the text. Once there are more
     * tokens than the model has positions, it sees only the last ones.
     *
     * @param seed of the draws
     * @throws ConfigException if the prompt is empty and the tokenizer puts no token before it
     * @throws IOException if a logit is NaN or infinite
     */
    public String continued(String prompt, int tokens, TokenChoice choice, long seed, Progress.Reporter reporter)
            throws IOException {
        int[] given = tokenizer.encode(prompt);
        if (given.length == 0) {
            throw new ConfigException("the prompt has no tokens, and this model's tokenizer adds none: give it a text");
        }
        return prompt + textAfter(given, extended(given, tokens, choice, seed, reporter));
    }

    /** Returns the given ids and the model's continuation, without the end-of-text token. */
    int[] extended(int[] given, int tokens, TokenChoice choice, long seed, Progress.Reporter reporter)
            throws IOException {
        int[] ids = given;
        SplittableRandom random = new SplittableRandom(seed);
        try (Progress progress = reporter.start("sample", tokens, "tokens")) {
            for (int written = 1; written <= tokens; written++) {
                int next = choice.draw(nextTokenLogits(ids), random);
                if (tokenizer.endId().equals(OptionalInt.of(next))) {
                    break;
                }
                ids = Arrays.copyOf(ids, ids.length + 1);
                ids[ids.length - 1] = next;
                progress.step(written);
            }
        }
        return ids;
    }

    private float[] nextTokenLogits(int[] ids) throws IOException {
        int[] seen = Arrays.copyOfRange(
                ids, Math.max(0, ids.length - model.config().positions().count()), ids.length);
        try (HiddenStates states = model.embed(new int[][] {seen}, 1)) {
            runner.run(states, ActivationObserver.NONE, SILENT);
            NDArray logits = model.nextTokenLogits(states, 0);
            if (!NativeFloats.allFinite(logits)) {
                throw new IOException(
                        "the logits after " + ids.length + " tokens have a value that is NaN or infinite");
            }
            return logits.toFloatArray();
        }
    }

    /** Returns the text of the tokens after {@code given}, with a space before it where one belongs. */
    private String textAfter(int[] given, int[] all) {
        String before = tokenizer.decode(given);
        String whole = tokenizer.decode(all);
        // false if bytes that form no character swallow the end of the prompt
        return whole.startsWith(before)
                ? whole.substring(before.length())
                : tokenizer.decode(Arrays.copyOfRange(all, given.length, all.length));
    }
}
