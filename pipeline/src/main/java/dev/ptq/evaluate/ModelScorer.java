package dev.ptq.evaluate;

import dev.ptq.family.ModelConfig;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
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
 * <p>Requests with the same input, such as the letters of a multiple-choice question, share one sequence. If only
 * weights are rounded, requests with a common beginning, such as the choices of a question, share that beginning.
 * Otherwise sequences of the same length are batched, each computed as it would be alone: a scale over several tokens
 * would see padding, and a different order of summation would become a step of the format.
 */
public final class ModelScorer implements RequestScorer {
    /** Hidden states held at a time, in values. */
    private static final long HIDDEN_VALUES = 1L << 26;

    /** More tokens would hardly help to batch equal lengths, and would lose more work when a process is killed. */
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
     * @param batchSize most sequences in a batch; a batch of trees has at most the tokens of that many longest ones
     * @param sharesPrefixes whether requests may share a common beginning, which changes the last bits of scores
     * @param unfinished the resume state
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

    /** Returns how many tokens of requests to score together, by the memory of their hidden states. */
    public static long tokensAtOnce(ModelConfig shape) {
        return Math.min(MOST_TOKENS, HIDDEN_VALUES / shape.hiddenSize());
    }

    /** Token ids and the predictions asked of them. */
    private record Input(IntBuffer ids, List<Target> targets) {
        int length() {
            return ids.remaining();
        }
    }

    /** The token after a position, asked for by a request. */
    private record Target(int position, int token, int request) {}

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
        List<List<Target>> sequences = new ArrayList<>();
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
        for (List<Target> sequence : sequences) {
            for (Target target : sequence) {
                logLikelihoods[target.request()] -= predictions.loss(place);
                if (!predictions.isGreedy(place)) {
                    notGreedy.set(target.request());
                }
                place++;
            }
        }
        return IntStream.range(0, requests.size())
                .mapToObj(i -> new Score(logLikelihoods[i], !notGreedy.get(i)))
                .toList();
    }

    /** Returns the distinct inputs, longest first, so that one that does not fit in memory fails at once. */
    private static List<Input> inputs(List<Request> requests) {
        Map<IntBuffer, Input> byIds = new HashMap<>();
        for (int i = 0; i < requests.size(); i++) {
            int[] ids = requests.get(i).ids();
            Input input = byIds.computeIfAbsent(
                    IntBuffer.wrap(ids, 0, ids.length - 1), key -> new Input(key, new ArrayList<>()));
            for (int position = ids.length - requests.get(i).scored(); position < ids.length; position++) {
                input.targets().add(new Target(position - 1, ids[position], i));
            }
        }
        List<Input> inputs = new ArrayList<>(byIds.values());
        inputs.sort(Comparator.comparingInt(Input::length).reversed().thenComparing(Input::ids));
        return inputs;
    }

    /** Batches inputs of the same length, each computed by itself. */
    private HiddenStates plain(List<Input> inputs, List<List<Target>> sequences) throws IOException {
        List<int[][]> batches = new ArrayList<>();
        List<int[]> batch = new ArrayList<>();
        for (Input input : inputs) {
            if (!batch.isEmpty() && (batch.size() == batchSize || batch.get(0).length != input.length())) {
                batches.add(batch.toArray(new int[0][]));
                batch.clear();
            }
            batch.add(PrefixTrees.ids(input.ids()));
            sequences.add(sorted(input.targets()));
        }
        batches.add(batch.toArray(new int[0][]));
        return model.embed(batches);
    }

    /** Puts inputs with a common beginning into one tree and batches trees of similar size. */
    private HiddenStates trees(List<Input> inputs, List<List<Target>> sequences) throws IOException {
        long mostTokens = (long) batchSize * model.config().positions().count();
        List<IntBuffer> ids = inputs.stream().map(Input::ids).toList();
        int longest = model.longestWithSharedPrefixes();
        // the longest come first
        int alone =
                (int) inputs.stream().filter(input -> input.length() > longest).count();
        List<List<PrefixTrees.Grown>> batches = new ArrayList<>(PrefixTrees.alone(ids.subList(0, alone), batchSize));
        batches.addAll(PrefixTrees.batches(
                PrefixTrees.of(ids, alone, model.config().hiddenSize(), mostTokens), batchSize, mostTokens));
        for (List<PrefixTrees.Grown> batch : batches) {
            for (PrefixTrees.Grown grown : batch) {
                List<Target> all = new ArrayList<>();
                for (PrefixTrees.Leaf leaf : grown.leaves()) {
                    for (Target target : inputs.get(leaf.input()).targets()) {
                        all.add(new Target(leaf.places()[target.position()], target.token(), target.request()));
                    }
                }
                sequences.add(sorted(all));
            }
        }
        return model.embedTrees(batches.stream()
                .map(batch -> batch.stream().map(PrefixTrees.Grown::tree).toList())
                .toList());
    }

    private static List<Target> sorted(List<Target> targets) {
        return targets.stream()
                .sorted(Comparator.comparingInt(Target::position))
                .toList();
    }

    private static TargetPositions places(List<List<Target>> sequences) {
        int count = sequences.stream().mapToInt(List::size).sum();
        int[] which = new int[count];
        int[] positions = new int[count];
        int[] tokens = new int[count];
        int place = 0;
        for (int i = 0; i < sequences.size(); i++) {
            for (Target target : sequences.get(i)) {
                which[place] = i;
                positions[place] = target.position();
                tokens[place++] = target.token();
            }
        }
        return new TargetPositions(which, positions, tokens);
    }
}
