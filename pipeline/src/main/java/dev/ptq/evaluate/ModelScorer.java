package dev.ptq.evaluate;

import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Places;
import dev.ptq.model.Predictions;
import dev.ptq.model.Unfinished;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Scores requests with a model, block by block.
 *
 * <p>Sequences of one length go together, so that there is no padding: number formats with a scale or an exponent over
 * several tokens would see it. Requests with the same input, such as the letters of a multiple-choice question, share
 * one sequence.
 */
public final class ModelScorer implements RequestScorer {
    private final LanguageModel model;
    private final BlockRunner runner;
    private final int batchSize;
    private final Unfinished unfinished;
    private final Progress.Reporter reporter;

    /**
     * Makes a scorer.
     *
     * @param runner makes the blocks
     * @param batchSize sequences in a batch at most
     * @param unfinished what an earlier attempt left, and where this one keeps what it has done
     */
    public ModelScorer(
            LanguageModel model, BlockRunner runner, int batchSize, Unfinished unfinished, Progress.Reporter reporter) {
        this.model = model;
        this.runner = runner;
        this.batchSize = batchSize;
        this.unfinished = unfinished;
        this.reporter = reporter;
    }

    /** An input and what is asked of it. */
    private record Sequence(IntBuffer input, List<Asked> asked) {
        int length() {
            return input.remaining();
        }

        int[] ids() {
            int[] ids = new int[length()];
            input.duplicate().get(ids);
            return ids;
        }
    }

    /** The token after a position, for a request. */
    private record Asked(int position, int token, int request) {}

    @Override
    public List<Score> score(String name, List<Request> requests) throws IOException {
        double[] known = unfinished.numbers(name).orElse(new double[0]);
        if (known.length != 2 * requests.size()) {
            known = compute(name, requests);
            unfinished.keep(name, known);
        }
        List<Score> scores = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
            scores.add(new Score(known[2 * i], known[2 * i + 1] == 1));
        }
        return scores;
    }

    /** The log-likelihood of each request, and 1 where it is greedy. */
    private double[] compute(String name, List<Request> requests) throws IOException {
        double[] results = new double[2 * requests.size()];
        if (requests.isEmpty()) {
            return results;
        }
        List<Sequence> sequences = sequences(requests);
        List<int[][]> batches = batches(sequences);
        Predictions predictions;
        List<Asked> asked = sequences.stream()
                .flatMap(sequence -> sequence.asked().stream())
                .toList();
        try (HiddenStates states = model.embed(batches);
                Progress progress = reporter.start(
                        "score " + name, (long) batches.size() * model.config().blocks(), "block passes")) {
            runner.run(states, ActivationObserver.none(), progress, name, unfinished, Unfinished.Carried.nothing());
            predictions = model.predictions(states, places(sequences));
        }
        for (int i = 0; i < requests.size(); i++) {
            results[2 * i + 1] = 1;
        }
        for (int place = 0; place < asked.size(); place++) {
            int request = asked.get(place).request();
            results[2 * request] -= predictions.loss(place);
            if (!predictions.isLikeliest(place)) {
                results[2 * request + 1] = 0;
            }
        }
        return results;
    }

    /** The different inputs, longest first: what does not fit in memory shows at once. */
    private static List<Sequence> sequences(List<Request> requests) {
        Map<IntBuffer, Sequence> byInput = new HashMap<>();
        for (int i = 0; i < requests.size(); i++) {
            int[] ids = requests.get(i).ids();
            IntBuffer input = IntBuffer.wrap(ids, 0, ids.length - 1);
            Sequence sequence = byInput.computeIfAbsent(input, key -> new Sequence(key, new ArrayList<>()));
            for (int target = ids.length - requests.get(i).scored(); target < ids.length; target++) {
                sequence.asked().add(new Asked(target - 1, ids[target], i));
            }
        }
        List<Sequence> sequences = new ArrayList<>(byInput.values());
        sequences.forEach(sequence -> sequence.asked().sort(Comparator.comparingInt(Asked::position)));
        sequences.sort(Comparator.comparingInt(Sequence::length).reversed().thenComparing(Sequence::input));
        return sequences;
    }

    private List<int[][]> batches(List<Sequence> sequences) {
        List<int[][]> batches = new ArrayList<>();
        List<int[]> batch = new ArrayList<>();
        for (Sequence sequence : sequences) {
            if (!batch.isEmpty() && (batch.size() == batchSize || batch.get(0).length != sequence.length())) {
                batches.add(batch.toArray(new int[0][]));
                batch.clear();
            }
            batch.add(sequence.ids());
        }
        batches.add(batch.toArray(new int[0][]));
        return batches;
    }

    private static Places places(List<Sequence> sequences) {
        int count =
                sequences.stream().mapToInt(sequence -> sequence.asked().size()).sum();
        int[] which = new int[count];
        int[] positions = new int[count];
        int[] tokens = new int[count];
        int place = 0;
        for (int i = 0; i < sequences.size(); i++) {
            for (Asked asked : sequences.get(i).asked()) {
                which[place] = i;
                positions[place] = asked.position();
                tokens[place++] = asked.token();
            }
        }
        return new Places(which, positions, tokens);
    }
}
