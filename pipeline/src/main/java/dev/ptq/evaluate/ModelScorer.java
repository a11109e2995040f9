package dev.ptq.evaluate;

import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.Predictions;
import dev.ptq.model.ResumeState;
import dev.ptq.model.TargetPositions;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * Scores requests with a model, block by block.
 *
 * <p>Requests with the same input, such as the letters of a multiple-choice question, share one sequence. Where nothing
 * but weights is rounded, those that begin alike, such as the choices of a question, share what they have in common.
 * Else sequences of one length go together, each as it would be alone: a scale over several tokens would see padding,
 * and a sum in another order would become a step of the format.
 */
public final class ModelScorer implements RequestScorer {
    /** Hidden states held at a time, in values. */
    private static final long HIDDEN_VALUES = 1L << 26;

    /** With more, little more is of one length, and more is lost when a process is killed. */
    private static final long MOST_TOKENS = 1L << 18;

    private final LanguageModel model;
    private final BlockRunner runner;
    private final int batchSize;
    private final boolean sharesPrefixes;
    private final ResumeState unfinished;
    private final Progress.Reporter reporter;

    /**
     * Makes a scorer.
     *
     * @param runner makes the blocks
     * @param batchSize sequences in a batch at most, trees with as many tokens as so many of the longest have
     * @param sharesPrefixes whether requests may share what they have in common; scores then are others in the last bits
     * @param unfinished what an earlier attempt left, and where this one keeps what it has done
     */
    public ModelScorer(
            LanguageModel model,
            BlockRunner runner,
            int batchSize,
            boolean sharesPrefixes,
            ResumeState unfinished,
            Progress.Reporter reporter) {
        this.model = model;
        this.runner = runner;
        this.batchSize = batchSize;
        this.sharesPrefixes = sharesPrefixes;
        this.unfinished = unfinished;
        this.reporter = reporter;
    }

    /** Tokens of requests that should be scored together, by the memory of their hidden states. */
    public static long tokensAtOnce(ModelConfig shape) {
        return Math.min(MOST_TOKENS, HIDDEN_VALUES / shape.hiddenSize());
    }

    /** Token ids and what is asked of them. */
    private record Input(IntBuffer ids, List<Asked> asked) {
        int length() {
            return ids.remaining();
        }
    }

    /** The token after a position, for a request. */
    private record Asked(int position, int token, int request) {}

    @Override
    public List<Score> score(String name, List<Request> requests) throws IOException {
        double[] kept = unfinished.numbers(name).orElse(new double[0]);
        if (kept.length == 2 * requests.size()) {
            return IntStream.range(0, requests.size())
                    .mapToObj(i -> new Score(kept[2 * i], kept[2 * i + 1] == 1))
                    .toList();
        }
        List<Score> scores = compute(name, requests);
        unfinished.keep(
                name,
                scores.stream()
                        .flatMapToDouble(score -> DoubleStream.of(score.logLikelihood(), score.greedy() ? 1 : 0))
                        .toArray());
        return scores;
    }

    private List<Score> compute(String name, List<Request> requests) throws IOException {
        if (requests.isEmpty()) {
            return List.of();
        }
        List<Input> inputs = inputs(requests);
        List<List<Asked>> sequences = new ArrayList<>();
        Predictions predictions;
        try (HiddenStates states = sharesPrefixes && !runner.roundsActivations()
                        ? trees(inputs, sequences)
                        : plain(inputs, sequences);
                Progress progress = reporter.start(
                        "score " + name, (long) states.size() * model.config().blocks(), "block passes")) {
            runner.run(states, ActivationObserver.NONE, progress, name, unfinished, ResumeState.Carried.nothing());
            predictions = model.predictions(states, places(sequences));
        }
        double[] logLikelihoods = new double[requests.size()];
        BitSet notGreedy = new BitSet();
        int place = 0;
        for (List<Asked> sequence : sequences) {
            for (Asked asked : sequence) {
                logLikelihoods[asked.request()] -= predictions.loss(place);
                if (!predictions.isGreedy(place)) {
                    notGreedy.set(asked.request());
                }
                place++;
            }
        }
        return IntStream.range(0, requests.size())
                .mapToObj(i -> new Score(logLikelihoods[i], !notGreedy.get(i)))
                .toList();
    }

    /** The different inputs, longest first: what does not fit in memory shows at once. */
    private static List<Input> inputs(List<Request> requests) {
        Map<IntBuffer, Input> byIds = new HashMap<>();
        for (int i = 0; i < requests.size(); i++) {
            int[] ids = requests.get(i).ids();
            Input input = byIds.computeIfAbsent(
                    IntBuffer.wrap(ids, 0, ids.length - 1), key -> new Input(key, new ArrayList<>()));
            for (int target = ids.length - requests.get(i).scored(); target < ids.length; target++) {
                input.asked().add(new Asked(target - 1, ids[target], i));
            }
        }
        List<Input> inputs = new ArrayList<>(byIds.values());
        inputs.sort(Comparator.comparingInt(Input::length).reversed().thenComparing(Input::ids));
        return inputs;
    }

    /** Inputs of one length together, each by itself. */
    private HiddenStates plain(List<Input> inputs, List<List<Asked>> sequences) throws IOException {
        List<int[][]> batches = new ArrayList<>();
        List<int[]> batch = new ArrayList<>();
        for (Input input : inputs) {
            if (!batch.isEmpty() && (batch.size() == batchSize || batch.get(0).length != input.length())) {
                batches.add(batch.toArray(new int[0][]));
                batch.clear();
            }
            batch.add(PrefixTrees.ids(input.ids()));
            sequences.add(sorted(input.asked()));
        }
        batches.add(batch.toArray(new int[0][]));
        return model.embed(batches);
    }

    /** Inputs that begin alike in one tree, trees of about one size together. */
    private HiddenStates trees(List<Input> inputs, List<List<Asked>> sequences) throws IOException {
        long mostTokens = (long) batchSize * model.config().positions().count();
        List<IntBuffer> ids = inputs.stream().map(Input::ids).toList();
        List<List<PrefixTrees.Grown>> batches = PrefixTrees.batches(
                PrefixTrees.of(ids, model.config().hiddenSize(), mostTokens), batchSize, mostTokens);
        for (List<PrefixTrees.Grown> batch : batches) {
            for (PrefixTrees.Grown grown : batch) {
                List<Asked> all = new ArrayList<>();
                for (PrefixTrees.Leaf leaf : grown.leaves()) {
                    for (Asked asked : inputs.get(leaf.input()).asked()) {
                        all.add(new Asked(leaf.places()[asked.position()], asked.token(), asked.request()));
                    }
                }
                sequences.add(sorted(all));
            }
        }
        return model.embedTrees(batches.stream()
                .map(batch -> batch.stream().map(PrefixTrees.Grown::tree).toList())
                .toList());
    }

    private static List<Asked> sorted(List<Asked> asked) {
        return asked.stream().sorted(Comparator.comparingInt(Asked::position)).toList();
    }

    private static TargetPositions places(List<List<Asked>> sequences) {
        int count = sequences.stream().mapToInt(List::size).sum();
        int[] which = new int[count];
        int[] positions = new int[count];
        int[] tokens = new int[count];
        int place = 0;
        for (int i = 0; i < sequences.size(); i++) {
            for (Asked asked : sequences.get(i)) {
                which[place] = i;
                positions[place] = asked.position();
                tokens[place++] = asked.token();
            }
        }
        return new TargetPositions(which, positions, tokens);
    }
}
