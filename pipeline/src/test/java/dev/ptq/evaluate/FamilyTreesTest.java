package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ResumeState;
import dev.ptq.model.TinyFamilies;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Requests in trees of shared prefixes score as each alone, whatever a family does with positions. */
class FamilyTreesTest {
    static Stream<Path> models() throws IOException {
        return TinyFamilies.folders().stream();
    }

    @ParameterizedTest
    @MethodSource("models")
    void treesScoreAsRequestsAlone(Path model) throws IOException {
        List<Request> requests = requests();
        List<Score> shared = scores(model, requests, true);
        List<Score> alone = scores(model, requests, false);
        for (int i = 0; i < requests.size(); i++) {
            assertThat(shared.get(i).logLikelihood())
                    .as("request of %s tokens", requests.get(i).ids().length)
                    .isCloseTo(alone.get(i).logLikelihood(), within(2e-4));
        }
    }

    private static List<Score> scores(Path folder, List<Request> requests, boolean sharesPrefixes) throws IOException {
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), true)) {
            return new ModelScorer(model, runner, 8, sharesPrefixes, ResumeState.none(), Progress.Reporter.none())
                    .score("all", requests);
        }
    }

    /** Contexts of several lengths, each with continuations; frequencies change at 32 tokens, windows end before. */
    private static List<Request> requests() {
        SplittableRandom random = new SplittableRandom(7);
        List<Request> requests = new ArrayList<>();
        for (int context : new int[] {6, 25, 31, 40}) {
            int[] ids = random.ints(context, 0, 256).toArray();
            for (int continuation : new int[] {1, 2, 9, 20}) {
                int[] all = Arrays.copyOf(ids, context + continuation);
                for (int i = context; i < all.length; i++) {
                    all[i] = random.nextInt(256);
                }
                requests.add(new Request(all, continuation));
            }
        }
        return requests;
    }
}
