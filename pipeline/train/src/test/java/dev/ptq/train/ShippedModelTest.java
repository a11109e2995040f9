package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.data.Corpus;
import dev.ptq.data.Digests;
import dev.ptq.data.Split;
import dev.ptq.data.Tokenizer;
import dev.ptq.family.ModelConfig;
import dev.ptq.progress.Progress;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The model that comes with the program is the one that the recipe in this source makes. */
class ShippedModelTest {
    private static final int STEPS = 2400;
    private static final long SEED = 1;
    private static final Recipe RECIPE = Recipe.reference(SEED, STEPS);

    @TempDir
    private Path folder;

    private Path shipped;

    @BeforeEach
    void find() throws IOException {
        shipped = ModelFolder.resolve("reference").path();
    }

    @Test
    void theCardStatesTheDigestOfTheWeightsAndHowTheyAreMade() throws IOException {
        assertThat(Files.readString(shipped.resolve("README.md")))
                .contains(Digests.of(shipped.resolve("model.safetensors")), TrainReference.command(STEPS, SEED));
        assertThat(ModelConfig.read(shipped)).isEqualTo(RECIPE.shape().config());
        assertThat(LossCurve.read(shipped.resolve("loss.csv")))
                .hasSize(RECIPE.schedule().steps());
    }

    /** The width of letters on this machine decides where the plot begins, so it is what is drawn that is compared. */
    @Test
    void theChartShowsTheTable() throws IOException {
        LossCurve.write(folder, LossCurve.read(shipped.resolve(LossCurve.TABLE)));

        assertThat(drawn(shipped.resolve(LossCurve.CHART)))
                .hasSizeGreaterThan(10)
                .isEqualTo(drawn(folder.resolve(LossCurve.CHART)));
    }

    /** Every text, and of every path how many corners it has. */
    private static List<String> drawn(Path chart) throws IOException {
        return Pattern.compile(">([^<>]+)</t|d='([^']+)'")
                .matcher(Files.readString(chart))
                .results()
                .map(found ->
                        found.group(1) != null ? found.group(1) : found.group(2).replaceAll("[^A-Z]", ""))
                .toList();
    }

    @Test
    void itsTokenizerIsLearnedFromTheTrainingSplits() throws IOException {
        List<String> documents = new ArrayList<>();
        for (Corpus corpus : Corpus.values()) {
            documents.addAll(corpus.documents(Split.TRAIN));
        }
        BytePairTokenizer.train(documents, RECIPE.shape().vocabSize()).write(folder);
        for (String file : List.of(Tokenizer.FILE, Tokenizer.CONFIG)) {
            assertThat(shipped.resolve(file)).as(file).hasSameBinaryContentAs(folder.resolve(file));
        }
    }

    /** Other processors round otherwise, which a few steps do not make much of. */
    @Test
    @Tag("slow")
    void itsCurveBeginsAsATrainingDoesNow() throws IOException {
        List<LossCurve.Row> curve = LossCurve.read(shipped.resolve("loss.csv"));
        int enough = 20;
        int steps = 0;
        try (Tokenizer tokenizer = Tokenizer.open(shipped);
                ReferenceTraining training =
                        new ReferenceTraining(RECIPE, ReferenceModel.corpora(), tokenizer, folder)) {
            training.run(
                    (step, loss) -> {
                        assertThat(loss)
                                .as("step " + step)
                                .isCloseTo(curve.get(step - 1).trainLoss(), within(1e-4));
                        if (step == enough) {
                            throw new UncheckedIOException(new IOException("enough"));
                        }
                    },
                    Progress.Reporter.none());
        } catch (UncheckedIOException e) {
            assertThat(e).hasMessageContaining("enough");
            steps = enough;
        }
        assertThat(steps).isEqualTo(enough);
    }
}
