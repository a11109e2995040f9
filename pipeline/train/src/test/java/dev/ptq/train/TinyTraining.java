package dev.ptq.train;

import dev.ptq.data.Text;
import dev.ptq.data.TextFile;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** A recipe and texts with which a training takes a second. */
final class TinyTraining {
    private static final List<String> WORDS = List.of(
            "the", "old", "house", "stood", "by", "a", "river", "and", "nobody", "knew", "who", "had", "built", "it",
            "but", "every", "evening", "lamp", "burned", "in", "upper", "window", "until", "morning", "came");

    private final Path folder;

    TinyTraining(Path folder) {
        this.folder = folder;
    }

    static Recipe recipe(int steps) {
        return new Recipe(
                7,
                new Recipe.Shape(320, 32, 48, 2, 4, 2, 24),
                new Recipe.Schedule(steps, 8, 24, 5, 1e-2, 1e-3, 0.1, 1, 0.1, 10, 4),
                Map.of("one", 0.75, "two", 0.25));
    }

    /** Two corpora of sentences in which each word depends on the one before. */
    Map<String, ReferenceModel.Texts> texts() throws IOException {
        return Map.of("one", texts("one", 1), "two", texts("two", 2));
    }

    private ReferenceModel.Texts texts(String name, long seed) throws IOException {
        return new ReferenceModel.Texts(
                text(name + "-train.txt", 120, seed),
                text(name + "-validation.txt", 30, seed + 10),
                text(name + "-test.txt", 30, seed + 20));
    }

    private Text text(String name, int documents, long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < documents; i++) {
            StringBuilder line = new StringBuilder();
            int word = random.nextInt(WORDS.size());
            for (int j = 0; j < 15; j++) {
                line.append(j == 0 ? "" : " ").append(WORDS.get(word));
                word = (7 * word + 1 + random.nextInt(3)) % WORDS.size();
            }
            lines.add(line + ".");
        }
        Path file = folder.resolve(name);
        Files.write(file, lines);
        return new TextFile(file.toString(), TextFile.Layout.LINES, "");
    }

    /** Trains into a folder, and returns the loss of each step. */
    List<Double> train(int steps, Path out) throws IOException {
        List<Double> losses = new ArrayList<>();
        train(steps, out, (step, loss) -> losses.add(loss));
        return losses;
    }

    void train(int steps, Path out, ReferenceTraining.StepListener listener) throws IOException {
        ReferenceModel.make(recipe(steps), texts(), "the command", out, listener, Progress.Reporter.none());
    }
}
