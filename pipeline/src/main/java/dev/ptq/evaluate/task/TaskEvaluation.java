package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.evaluate.Request;
import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Scores the documents of tasks in passes, from which a later process can resume. */
public final class TaskEvaluation {
    private static final Logger log = LoggerFactory.getLogger(TaskEvaluation.class);

    /** Tokens that one pass takes, unless a single document has more. */
    private static final long PASS_TOKENS = 1 << 15;

    private static final int SHOWN_PROBLEMS = 20;

    private final TasksSettings settings;
    private final Encoder encoder;
    private final List<Document> documents = new ArrayList<>();
    private final List<EncodedTask> tasks = new ArrayList<>();

    /** Where each pass ends, as a number of documents. */
    private final List<Integer> passEnds = new ArrayList<>();

    private long passTokens;

    /**
     * The request counts of a task's documents.
     *
     * @param available documents that the data has
     * @param truncated requests that lost their beginning
     * @param encodedAlone requests whose continuation was encoded without its context
     */
    record EncodedTask(Task task, int documents, int available, int truncated, int encodedAlone) {}

    private TaskEvaluation(TasksSettings settings, Encoder encoder) {
        this.settings = settings;
        this.encoder = encoder;
    }

    /**
     * Reads and encodes all documents.
     *
     * @param maxTokens that the model takes
     * @throws ConfigException if there is something wrong with the data; it names files and lines
     */
    public static TaskEvaluation prepare(TasksSettings settings, TaskData data, TextEncoding encoding, int maxTokens)
            throws IOException {
        return prepare(settings, data, encoding, maxTokens, PASS_TOKENS);
    }

    /** Returns the digests of all data that {@link #prepare} reads, each once, in the order of the tasks. */
    public static List<String> digests(TasksSettings settings, TaskData data) throws IOException {
        Set<String> digests = new LinkedHashSet<>();
        for (Task task : settings.tasks()) {
            digests.add(data.sha256(task, task.evaluatedSplit()));
            if (settings.numFewshot() > 0) {
                digests.add(data.sha256(task, task.exampleSplit()));
            }
        }
        return List.copyOf(digests);
    }

    /** Returns the hub commits of all data that {@link #prepare} reads, each once. */
    public static Set<String> commits(TasksSettings settings, TaskData data) throws IOException {
        Set<String> commits = new LinkedHashSet<>();
        for (Task task : settings.tasks()) {
            data.commit(task, task.evaluatedSplit()).ifPresent(commits::add);
        }
        return commits;
    }

    /**
     * As above.
     *
     * @param passTokens scored together, unless a single document has more; more tokens mean more sequences of the same
     *     length
     */
    public static TaskEvaluation prepare(
            TasksSettings settings, TaskData data, TextEncoding encoding, int maxTokens, long passTokens)
            throws IOException {
        TaskEvaluation evaluation = new TaskEvaluation(settings, new Encoder(encoding, maxTokens, settings));
        List<String> problems = new ArrayList<>();
        for (Task task : settings.tasks()) {
            evaluation.add(task, Documents.of(task, settings, data, problems), passTokens, problems);
        }
        if (problems.size() > SHOWN_PROBLEMS) {
            int more = problems.size() - SHOWN_PROBLEMS;
            problems.subList(SHOWN_PROBLEMS, problems.size()).clear();
            problems.add("… and " + more + " more");
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
        evaluation.passEnds.add(evaluation.documents.size());
        return evaluation;
    }

    /** Encodes the documents once, to check them and to cut passes; the ids are made again when needed. */
    private void add(Task task, Documents.Selected selected, long mostTokens, List<String> problems) {
        List<Document> added = selected.documents();
        int truncated = 0;
        int alone = 0;
        String firstAlone = "";
        for (Document document : added) {
            try {
                Encoder.Encoded encoded = encoder.encode(document);
                truncated += encoded.truncated();
                alone += encoded.alone();
                firstAlone = firstAlone.isEmpty() && encoded.alone() > 0 ? document.label() : firstAlone;
                if (passTokens > 0 && passTokens + encoded.tokens() > mostTokens) {
                    passEnds.add(documents.size());
                    passTokens = 0;
                }
                passTokens += encoded.tokens();
                documents.add(document);
            } catch (ConfigException e) {
                problems.addAll(e.problems());
            }
        }
        if (truncated > 0) {
            log.warn(
                    "{}: {} requests are longer than the model takes and lose their beginning", task.name(), truncated);
        }
        if (alone > 0) {
            log.warn(
                    "{}: {} continuations have no tokens of their own after the context and are encoded alone; first: {}",
                    task.name(),
                    alone,
                    firstAlone);
        }
        tasks.add(new EncodedTask(task, added.size(), selected.available(), truncated, alone));
    }

    /**
     * Scores the documents that an earlier attempt has not scored.
     *
     * @param folder of the documents' lines, {@code samples_TASK.jsonl}; they are complete on return
     * @throws IOException if a score is no finite number, or a file cannot be written
     */
    public TaskResults run(RequestScorer scorer, Path folder) throws IOException {
        Files.createDirectories(folder);
        SampleFiles files = new SampleFiles(folder, settings.profile());
        List<ScoredDocument> answered = new ArrayList<>(files.takeOver(documents, passEnds));
        int done = passEnds.indexOf(answered.size()) + 1;
        if (done > 0) {
            log.info("goes on after pass {} of {}", done, passEnds.size());
        }
        for (int pass = done; pass < passEnds.size(); pass++) {
            List<ScoredDocument> answers =
                    answers("tasks-" + pass, documents.subList(answered.size(), passEnds.get(pass)), scorer);
            files.append(answers);
            answered.addAll(answers);
            log.info("pass {} of {}: {} of {} documents", pass + 1, passEnds.size(), answered.size(), documents.size());
        }
        return TaskResults.of(settings, tasks, answered);
    }

    private List<ScoredDocument> answers(String name, List<Document> asked, RequestScorer scorer) throws IOException {
        List<List<Request>> requests = new ArrayList<>();
        asked.forEach(document -> requests.add(encoder.encode(document).requests()));
        List<Request> together = requests.stream().flatMap(List::stream).toList();
        List<Score> scores = together.isEmpty() ? List.of() : scorer.score(name, together);
        if (scores.size() != together.size()) {
            throw new IllegalStateException("expected " + together.size() + " scores, got " + scores.size());
        }
        List<ScoredDocument> answers = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < asked.size(); i++) {
            int to = from + requests.get(i).size();
            List<Score> own = asked.get(i).task().scoring().scores(scores.subList(from, to));
            for (Score score : own) {
                if (!Double.isFinite(score.logLikelihood())) {
                    throw new IOException(
                            asked.get(i).label() + ": the model gives a log-likelihood of " + score.logLikelihood());
                }
            }
            answers.add(new ScoredDocument(asked.get(i), own));
            from = to;
        }
        return answers;
    }
}
