package dev.ptq.bench;

import dev.ptq.data.Row;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.ModelScorer;
import dev.ptq.evaluate.Request;
import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import dev.ptq.evaluate.task.Profile;
import dev.ptq.evaluate.task.Task;
import dev.ptq.evaluate.task.TaskData;
import dev.ptq.evaluate.task.TaskEvaluation;
import dev.ptq.evaluate.task.TaskFolder;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.evaluate.task.TextEncoding;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ResumeState;
import dev.ptq.model.Scoring;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** What the section {@code tasks} of {@link Benchmarks} times, on one variant of a model. */
final class TaskPasses {
    private static final List<String> TASKS = List.of(
            "lambada_openai",
            "piqa",
            "arc_easy",
            "arc_challenge",
            "winogrande",
            "boolq",
            "openbookqa",
            "hellaswag",
            "copa",
            "mmlu");
    private static final int BATCH = 16;
    /** Of so many documents one is scored. */
    private static final int EVERY = 8;
    /** Each request alone takes longer: of so many of these one. */
    private static final int ALONE_EVERY = 4;

    /** The default of perplexity. */
    private static final int PERPLEXITY_BATCH = 4;

    private static final int CHUNKS = 64;
    private static final int CHUNK_TOKENS = 512;
    static final int PERPLEXITY_TOKENS = CHUNKS * CHUNK_TOKENS;

    private final LanguageModel model;
    private final BlockRunner runner;
    private final Tokenizer tokenizer;
    private final TaskData data;
    private final RequestScorer scorer;
    /** The requests of each pass. */
    private final List<List<Request>> passes = new ArrayList<>();

    private final int[][] chunks;
    private int documents;
    private int documentsAlone;

    TaskPasses(LanguageModel model, BlockRunner runner, Tokenizer tokenizer, Path folder) {
        this.model = model;
        this.runner = runner;
        this.tokenizer = tokenizer;
        this.data = new Sample(new TaskFolder(folder), EVERY);
        this.scorer = new ModelScorer(model, runner, BATCH, true, ResumeState.none(), Progress.Reporter.none());
        SplittableRandom random = new SplittableRandom(1);
        this.chunks = Stream.generate(() -> random.ints(
                                CHUNK_TOKENS, 0, model.config().vocabulary().size())
                        .toArray())
                .limit(CHUNKS)
                .toArray(int[][]::new);
    }

    /** The documents, from their files to the lines of their results. */
    void together() throws IOException {
        passes.clear();
        documents = evaluate(data, (name, requests) -> {
            passes.add(requests);
            return scorer.score(name, requests);
        });
    }

    /** Some of the documents, one request after the other. */
    void alone() throws IOException {
        documentsAlone = evaluate(new Sample(data, ALONE_EVERY), (name, requests) -> {
            List<Score> scores = new ArrayList<>();
            for (Request request : requests) {
                scores.addAll(scorer.score(name, List.of(request)));
            }
            return scores;
        });
    }

    /** The same requests, without anything else. */
    void scoring() throws IOException {
        for (List<Request> requests : passes) {
            scorer.score("scoring", requests);
        }
    }

    /** Chunks of the greatest length, all of their tokens scored. */
    void perplexity() throws IOException {
        try (HiddenStates states = model.embed(chunks, PERPLEXITY_BATCH);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            Scoring.nextTokenLosses(model, states, chunks);
        }
    }

    int documents() {
        return documents;
    }

    int documentsAlone() {
        return documentsAlone;
    }

    /** Tokens that went through the model in {@link #scoring}: those of different inputs. */
    long scoredTokens() {
        long tokens = 0;
        for (List<Request> requests : passes) {
            Set<List<Integer>> inputs = new HashSet<>();
            for (Request request : requests) {
                int[] ids = request.ids();
                inputs.add(Arrays.stream(ids, 0, ids.length - 1).boxed().toList());
            }
            tokens += inputs.stream().mapToLong(List::size).sum();
        }
        return tokens;
    }

    private int evaluate(TaskData from, RequestScorer by) throws IOException {
        TasksSettings settings = new TasksSettings(
                TASKS,
                0,
                OptionalDouble.empty(),
                Profile.HARNESS,
                "",
                BATCH,
                0,
                1234,
                Optional.empty(),
                false,
                List.of(),
                List.of());
        Path folder = Files.createTempDirectory("ptq-bench-");
        try {
            TaskEvaluation.prepare(
                            settings,
                            from,
                            TextEncoding.of(tokenizer, settings),
                            model.config().positions().count(),
                            ModelScorer.tokensAtOnce(model.config()))
                    .run(by, folder);
            int lines = 0;
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    lines += Files.readAllLines(file).size();
                    Files.delete(file);
                }
            }
            return lines;
        } finally {
            Files.delete(folder);
        }
    }

    /** One document of several. */
    private record Sample(TaskData all, int every) implements TaskData {
        @Override
        public List<Row> rows(Task task, String split) throws IOException {
            List<Row> rows = all.rows(task, split);
            return IntStream.range(0, rows.size())
                    .filter(i -> i % every == 0)
                    .mapToObj(rows::get)
                    .toList();
        }

        @Override
        public String sha256(Task task, String split) throws IOException {
            return all.sha256(task, split);
        }
    }
}
