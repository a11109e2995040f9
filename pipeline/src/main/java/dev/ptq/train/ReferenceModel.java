package dev.ptq.train;

import dev.ptq.data.Tokenizer;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** The making of a model folder from texts: tokenizer, training, files. */
public final class ReferenceModel {
    private ReferenceModel() {}

    public static void make(Recipe recipe, Map<String, Training.Texts> texts, Path out, Progress.Reporter reporter)
            throws IOException {
        Path work = out.resolveSibling(out.getFileName() + ".partial");
        Files.createDirectories(work);
        Path tokenizerFolder = work.resolve("tokenizer");
        if (!Files.exists(tokenizerFolder)) {
            List<String> all =
                    texts.values().stream().flatMap(own -> own.train().stream()).toList();
            BytePairTokenizer.train(all, recipe.shape().vocabSize()).write(tokenizerFolder);
        }
        try (Tokenizer tokenizer = Tokenizer.open(tokenizerFolder);
                Training training = new Training(recipe, texts, tokenizer, work)) {
            training.run((step, loss) -> {}, reporter);
        }
    }
}
