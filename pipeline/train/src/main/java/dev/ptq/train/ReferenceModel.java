package dev.ptq.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.config.ConfigException;
import dev.ptq.data.Corpus;
import dev.ptq.data.CorpusText;
import dev.ptq.data.Split;
import dev.ptq.data.Text;
import dev.ptq.data.Tokenizer;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * Makes a model folder from texts: tokenizer, training, files, model card. The work is done in a folder beside it,
 * {@code NAME.partial}; after an interruption a second call resumes there.
 */
public final class ReferenceModel {
    private static final String WEIGHTS = "model.safetensors";
    private static final JsonMapper PRETTY =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private ReferenceModel() {}

    /** Training, validation and test documents of a corpus. */
    public record Texts(Text train, Text validation, Text test) {}

    /** The shipped texts. */
    public static Map<String, Texts> corpora() {
        Map<String, Texts> texts = new TreeMap<>();
        for (Corpus corpus : Corpus.values()) {
            texts.put(
                    corpus.label(),
                    new Texts(
                            new CorpusText(corpus, Split.TRAIN),
                            new CorpusText(corpus, Split.VALIDATION),
                            new CorpusText(corpus, Split.TEST)));
        }
        return texts;
    }

    /**
     * Makes a model folder.
     *
     * @param texts by corpus; those that the recipe names
     * @param command stated in the model card
     * @param out must not exist
     * @param listener called after every step
     */
    public static void make(
            Recipe recipe,
            Map<String, Texts> texts,
            String command,
            Path out,
            ReferenceTraining.StepListener listener,
            Progress.Reporter reporter)
            throws IOException {
        if (Files.exists(out)) {
            throw new ConfigException(out + ": exists already; name another folder, or move this one away");
        }
        Path work = out.resolveSibling(out.getFileName() + ".partial");
        Path tokenizerFolder = work.resolve("tokenizer");
        Files.createDirectories(work);
        if (!Files.exists(tokenizerFolder)) {
            learnTokenizer(recipe, texts, tokenizerFolder);
        }
        try (Tokenizer tokenizer = Tokenizer.open(tokenizerFolder);
                ReferenceTraining training = new ReferenceTraining(recipe, texts, tokenizer, work)) {
            training.run(listener, reporter);
            Path model = work.resolve("model");
            Files.createDirectories(model);
            for (String file : List.of(Tokenizer.FILE, Tokenizer.CONFIG)) {
                Files.copy(tokenizerFolder.resolve(file), model.resolve(file), StandardCopyOption.REPLACE_EXISTING);
            }
            Files.writeString(
                    model.resolve("config.json"),
                    PRETTY.writeValueAsString(recipe.shape().configJson()) + "\n");
            halve(work.resolve(ReferenceTraining.BEST), model.resolve(WEIGHTS));
            LossCurve.write(model, training.state().curve());
            Files.writeString(
                    model.resolve("README.md"),
                    ModelCard.write(recipe, texts, training, tokenizer, model, command, reporter));
            Files.move(model, out);
        }
        for (String leftOver : List.of(
                ReferenceTraining.CHECKPOINT,
                ReferenceTraining.BEST,
                "tokenizer/" + Tokenizer.FILE,
                "tokenizer/" + Tokenizer.CONFIG)) {
            Files.delete(work.resolve(leftOver));
        }
        Files.delete(tokenizerFolder);
        Files.delete(work);
    }

    private static void learnTokenizer(Recipe recipe, Map<String, Texts> texts, Path folder) throws IOException {
        List<String> documents = new ArrayList<>();
        for (String corpus : recipe.shares().keySet()) {
            documents.addAll(recipe.of(texts, corpus).train().rows());
        }
        Path partial = folder.resolveSibling("tokenizer.partial");
        BytePairTokenizer.train(documents, recipe.shape().vocabSize()).write(partial);
        Files.move(partial, folder);
    }

    /** Copies tensors, rounded to bfloat16. */
    private static void halve(Path from, Path to) throws IOException {
        try (NDManager manager = TensorEngine.newManager();
                Safetensors full = Safetensors.open(from)) {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            for (String name : full.entries().keySet()) {
                tensors.put(name, full.load(manager, name));
            }
            SafetensorsWriter.write(to, tensors, StoredType.BF16, Map.of("format", "pt"));
        }
    }
}
