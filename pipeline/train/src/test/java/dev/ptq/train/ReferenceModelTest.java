package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Digests;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.LanguageModel;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Trains very small models from nothing. */
class ReferenceModelTest {
    @TempDir
    private Path folder;

    @Test
    void theLossFallsAndTheResultIsAModelFolder() throws IOException {
        Path out = folder.resolve("model");
        List<Double> losses = new TinyTraining(folder).train(60, out);

        assertThat(losses).hasSize(60);
        // from a guess among 320 tokens to what the next word leaves open
        assertThat(losses.get(0)).isBetween(Math.log(320) - 0.3, Math.log(320) + 0.3);
        assertThat(losses.get(59)).isLessThan(0.6 * losses.get(0));
        try (LanguageModel model = LanguageModel.open(out);
                Tokenizer tokenizer = Tokenizer.open(out);
                Safetensors weights = Safetensors.open(out.resolve("model.safetensors"))) {
            assertThat(model.config()).isEqualTo(TinyTraining.recipe(60).shape().config());
            assertThat(tokenizer.decode(tokenizer.encodePlain("the old house"))).isEqualTo("the old house");
            assertThat(weights.entries().values())
                    .allMatch(tensor -> tensor.type().equals("BF16"));
            assertThat(weights.metadata()).containsEntry("format", "pt");
        }
        assertThat(out).isDirectoryContaining("glob:**/loss.svg");
        assertThat(LossCurve.read(out.resolve("loss.csv"))).hasSize(60).satisfies(rows -> {
            assertThat(rows.get(59).validationLosses()).containsOnlyKeys("one", "two");
            assertThat(rows.get(58).validationLosses()).isEmpty();
            assertThat(rows.get(59).tokens()).isEqualTo(60 * 8 * 24);
        });
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left.filter(Files::isDirectory)).containsExactly(out);
        }
    }

    @Test
    void theCardStatesWhatTheFilesHold() throws IOException {
        Path out = folder.resolve("model");
        new TinyTraining(folder).train(60, out);
        String card = Files.readString(out.resolve("README.md"));
        assertThat(card).contains("the command", Digests.of(out.resolve("model.safetensors")), "(loss.svg)");
        Matcher rows = Pattern.compile("\\| (one|two) \\| \\d+ % \\| \\d+ \\| ([\\d.]+) \\| ([\\d.]+) \\|")
                .matcher(card);
        List<String> corpora = new ArrayList<>();
        while (rows.find()) {
            corpora.add(rows.group(1));
            // about three words can follow each word, and words are more than one token
            assertThat(Double.parseDouble(rows.group(2))).isBetween(1.0, 20.0);
            assertThat(Double.parseDouble(rows.group(3))).isBetween(1.0, 20.0);
        }
        assertThat(corpora).containsExactly("one", "two");
    }

    @Test
    void theSameSeedGivesTheSameLossesTwice() throws IOException {
        TinyTraining tiny = new TinyTraining(folder);
        List<Double> losses = tiny.train(20, folder.resolve("first"));
        assertThat(tiny.train(20, folder.resolve("second"))).isEqualTo(losses);
        for (String file : List.of("model.safetensors", "tokenizer.json", "loss.csv")) {
            assertThat(folder.resolve("second").resolve(file))
                    .as(file)
                    .hasSameBinaryContentAs(folder.resolve("first").resolve(file));
        }
    }

    @Test
    void aStoppedTrainingContinuesToTheSameEnd() throws IOException {
        TinyTraining tiny = new TinyTraining(folder);
        tiny.train(40, folder.resolve("straight"));
        Path out = folder.resolve("stopped");
        for (int stop : new int[] {5, 17, 33}) {
            assertThatThrownBy(() -> tiny.train(40, out, (step, loss) -> {
                        if (step == stop) {
                            throw new UncheckedIOException(new IOException("stopped"));
                        }
                    }))
                    .hasMessageContaining("stopped");
            assertThat(out).doesNotExist();
        }
        List<Double> rest = tiny.train(40, out);
        assertThat(rest).as("steps after the checkpoint of step 30").hasSize(10);
        for (String file : List.of("model.safetensors", "loss.csv", "loss.svg")) {
            assertThat(out.resolve(file))
                    .as(file)
                    .hasSameBinaryContentAs(folder.resolve("straight").resolve(file));
        }
    }

    @Test
    void aCheckpointOfAnotherRecipeIsRefused() {
        TinyTraining tiny = new TinyTraining(folder);
        Path out = folder.resolve("model");
        assertThatThrownBy(() -> tiny.train(40, out, (step, loss) -> {
                    if (step == 12) {
                        throw new UncheckedIOException(new IOException("stopped"));
                    }
                }))
                .hasMessageContaining("stopped");
        assertThatThrownBy(() -> tiny.train(50, out))
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll("checkpoint.safetensors", "another recipe", "delete the folder");
    }

    @Test
    void aFolderThatExistsIsLeftAlone() throws IOException {
        Path out = Files.createDirectory(folder.resolve("model"));
        assertThatThrownBy(() -> new TinyTraining(folder).train(10, out))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("exists already");
    }

    @Test
    void theRateRisesAndFalls() {
        Recipe.Schedule schedule = TinyTraining.recipe(40).schedule();
        assertThat(schedule.rate(1)).isEqualTo(2e-3);
        assertThat(schedule.rate(5)).isEqualTo(1e-2);
        assertThat(schedule.rate(6)).isLessThan(1e-2).isGreaterThan(0.99e-2);
        assertThat(schedule.rate(40)).isEqualTo(1e-3);
    }
}
