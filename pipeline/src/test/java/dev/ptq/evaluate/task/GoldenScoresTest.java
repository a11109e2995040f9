package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.ModelScorer;
import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.AttentionFormats;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearFormats;
import dev.ptq.model.ResumeState;
import dev.ptq.model.Rounding;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The model itself on the tasks of {@link GoldenRun}, within what its file allows. */
class GoldenScoresTest {
    private static final int BATCH = 16;

    @TempDir
    Path folder;

    private static NumberFormat mxint(int bits, int block) {
        return new BlockFloatFormat(bits, List.of(1, block), 8, 127);
    }

    private static BlockChange variant(String name) {
        NumberFormat none = new NoFormat();
        return switch (name) {
            case "fp32" -> BlockChange.none();
            case "W4A16_g32" ->
                block -> block.linears()
                        .forEach(linear -> Rounding.quantize(linear, new LinearFormats(mxint(4, 32), none, none)));
            case "W4A8" ->
                block -> {
                    NumberFormat eight = mxint(8, 16);
                    block.linears()
                            .forEach(linear -> Rounding.quantize(linear, new LinearFormats(mxint(4, 16), eight, none)));
                    block.quantizeAttention(new AttentionFormats(eight, eight));
                };
            default -> throw new IllegalArgumentException(name);
        };
    }

    @Tag("slow")
    @ParameterizedTest
    @ValueSource(strings = {"fp32", "W4A16_g32", "W4A8"})
    void areThoseOfTheHarness(String variant) throws IOException {
        compare(variant, GoldenRun.all(), 3000);
    }

    /** Without examples, subjects, and pages, nor rounded activations, for which nothing is shared among requests. */
    @ParameterizedTest
    @ValueSource(strings = {"fp32", "W4A16_g32"})
    void areThoseOfTheHarnessInShort(String variant) throws IOException {
        List<GoldenRun> some = GoldenRun.all().stream()
                .filter(run -> List.of("piqa", "arc_easy", "winogrande", "copa", "lambada_openai:tinystories")
                        .contains(run.name()))
                .toList();
        compare(variant, some, 800);
    }

    private void compare(String variant, List<GoldenRun> runs, int atLeast) throws IOException {
        assumeFalse(runs.isEmpty(), "no folder ../shared with golden/tasks.json, data/tasks and models/stories260k");
        Path path = GoldenRun.model().orElseThrow();
        Differences differences = new Differences();
        try (LanguageModel model = LanguageModel.open(path);
                Tokenizer tokenizer = Tokenizer.open(path);
                BlockRunner runner = new BlockRunner(model, variant(variant), true)) {
            RequestScorer scorer =
                    new ModelScorer(model, runner, BATCH, true, ResumeState.none(), Progress.Reporter.none());
            for (GoldenRun run : runs) {
                if (!run.variants().contains(variant)) {
                    continue;
                }
                List<Score> scores = new ArrayList<>();
                RequestScorer listening = (name, requests) -> {
                    List<Score> own = scorer.score(name, requests);
                    scores.addAll(own);
                    return own;
                };
                TaskResults results = TaskEvaluation.prepare(
                                run.settings(),
                                run.data(),
                                TextEncoding.of(tokenizer, run.settings()),
                                GoldenRun.MAX_TOKENS,
                                1 << 18)
                        .run(
                                listening,
                                Files.createDirectories(
                                        folder.resolve(run.name().replace(':', '_'))));
                List<Score> expected = run.scores(variant);
                assertThat(scores).as(run.name()).hasSameSizeAs(expected);
                if (run.task().equals("wikitext")) {
                    differences.addPages(
                            run.name(),
                            scores,
                            expected,
                            run.json().get(variant).get("items"));
                } else {
                    for (int i = 0; i < scores.size(); i++) {
                        differences.add(run.name() + " " + i, scores.get(i), expected.get(i));
                    }
                }
                if (!variant.equals("W4A8")) {
                    run.assertMetrics(results, variant);
                }
            }
        }
        differences.check(!variant.equals("W4A8"), atLeast);
    }

    /** What the reference's own summation in another order differs by is allowed. */
    private static final class Differences {
        private final List<String> beyond = new ArrayList<>();
        private int requests;
        private int within;
        private int near;
        private double signed;

        void add(String name, Score score, Score expected) {
            double difference = score.logLikelihood() - expected.logLikelihood();
            double size = Math.abs(expected.logLikelihood());
            boolean close = Math.abs(difference) <= 2e-5 + 2e-6 * size;
            if (!close) {
                beyond.add(name + ": " + difference + " of " + size);
            }
            requests++;
            within += close ? 1 : 0;
            near += Math.abs(difference) <= 0.1 ? 1 : 0;
            signed += difference;
        }

        /** A page as the sum over its windows. */
        void addPages(String name, List<Score> scores, List<Score> expected, JsonNode pages) {
            int window = 0;
            for (JsonNode page : pages) {
                int end = window + page.get("windows_ctx_cont_ll").size();
                double sum = 0;
                double size = 0;
                for (; window < end; window++) {
                    sum += scores.get(window).logLikelihood()
                            - expected.get(window).logLikelihood();
                    size += Math.abs(expected.get(window).logLikelihood());
                }
                if (Math.abs(sum) > 3e-7 * size) {
                    beyond.add(name + ", page to window " + end + ": " + sum + " of " + size);
                }
            }
        }

        void check(boolean exact, int atLeast) {
            assertThat(requests).isGreaterThan(atLeast);
            if (exact) {
                assertThat(beyond).isEmpty();
            }
            assertThat((double) within / requests).isGreaterThanOrEqualTo(0.75);
            assertThat((double) near / requests).isGreaterThanOrEqualTo(0.9);
            assertThat(signed / requests).isBetween(-0.01, 0.01);
        }
    }
}
