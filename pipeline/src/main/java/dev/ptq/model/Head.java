package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Logits of chosen positions, a part of the vocabulary and some rows at a time; they are never all in memory. */
final class Head {
    /** Rows that are multiplied at once. How many decides last bits, so it follows from nothing else. */
    private static final int ROWS = 512;

    private final WeightSource weights;
    private final Decoder decoder;
    private final int weightsAtOnce;
    private final int logitsAtOnce;

    /**
     * Makes a head.
     *
     * @param weightsAtOnce weights held at a time, in values
     * @param logitsAtOnce of each thread, likewise
     */
    Head(WeightSource weights, Decoder decoder, int weightsAtOnce, int logitsAtOnce) {
        this.weights = weights;
        this.decoder = decoder;
        this.weightsAtOnce = weightsAtOnce;
        this.logitsAtOnce = logitsAtOnce;
    }

    /** Some logits of one or several models at the same places. */
    private interface Consumer {
        /**
         * Takes them. Those of different rows come at the same time, those of a row in the order of the tokens.
         *
         * @param row the first
         * @param token the first id
         * @param logits of each model, {@code [rows, tokens]}; gone afterwards
         */
        void accept(int row, int token, List<NDArray> logits);
    }

    /**
     * Scores places.
     *
     * @param finished what the head takes, batches of {@code [batch, tokens, width]}
     */
    Predictions predictions(NDManager manager, List<NDArray> finished, TargetPositions places) throws IOException {
        LogSums logSums = new LogSums(places.rows());
        double[] targets = new double[places.count()];
        Maxima maxima = new Maxima(places.rows());
        scan(manager, List.of(finished), places, (row, token, logits) -> {
            NDArray values = logits.get(0);
            NDList sums = Torch.logSumExp(values);
            logSums.add(row, sums.get(0));
            maxima.add(row, token, values, sums.get(1));
            int width = (int) values.getShape().get(1);
            FloatBuffer window = NativeFloats.window(values);
            for (int i = 0; i < values.getShape().get(0); i++) {
                for (int place = places.firstPlace(row + i); place < places.firstPlace(row + i + 1); place++) {
                    int target = places.token(place) - token;
                    if (target >= 0 && target < width) {
                        targets[place] = window.get(i * width + target);
                    }
                }
            }
        });
        boolean[] likeliest = new boolean[places.count()];
        for (int row = 0; row < places.rows(); row++) {
            for (int place = places.firstPlace(row); place < places.firstPlace(row + 1); place++) {
                targets[place] = logSums.of(row) - targets[place];
                likeliest[place] = maxima.token(row) == places.token(place);
            }
        }
        return new Predictions(targets, likeliest);
    }

    /**
     * Compares what two models predict.
     *
     * @param reference of the one whose distribution is the first of the divergence
     */
    Divergence divergence(NDManager manager, List<NDArray> reference, List<NDArray> other, TargetPositions places)
            throws IOException {
        LogSums first = new LogSums(places.rows());
        LogSums second = new LogSums(places.rows());
        Maxima firstMaxima = new Maxima(places.rows());
        Maxima secondMaxima = new Maxima(places.rows());
        // the mean over the first distribution of how its logits exceed the other's, as far as seen
        double[] excess = new double[places.rows()];
        scan(manager, List.of(reference, other), places, (row, token, logits) -> {
            double[] means = logits.get(0)
                    .softmax(-1)
                    .mul(logits.get(0).sub(logits.get(1)))
                    .sum(new int[] {-1})
                    .toType(DataType.FLOAT64, false)
                    .toDoubleArray();
            double[] before = first.copy(row, means.length);
            NDList sums = Torch.logSumExp(logits.get(0));
            NDList others = Torch.logSumExp(logits.get(1));
            double[] added = first.add(row, sums.get(0));
            second.add(row, others.get(0));
            firstMaxima.add(row, token, logits.get(0), sums.get(1));
            secondMaxima.add(row, token, logits.get(1), others.get(1));
            for (int i = 0; i < means.length; i++) {
                double all = first.of(row + i);
                excess[row + i] = excess[row + i] * Math.exp(before[i] - all) + means[i] * Math.exp(added[i] - all);
            }
        });
        double[] divergences = new double[places.rows()];
        boolean[] agree = new boolean[places.rows()];
        for (int row = 0; row < divergences.length; row++) {
            divergences[row] = Math.max(0, excess[row] - first.of(row) + second.of(row));
            agree[row] = firstMaxima.token(row) == secondMaxima.token(row);
        }
        return new Divergence(divergences, agree);
    }

    /** The states behind the rows of one model, in batches. */
    private static final class States {
        private final List<NDArray> batches;
        private final int[] firstSequences;

        States(List<NDArray> batches) {
            this.batches = batches;
            firstSequences = new int[batches.size() + 1];
            for (int i = 0; i < batches.size(); i++) {
                firstSequences[i + 1] =
                        firstSequences[i] + (int) batches.get(i).getShape().get(0);
            }
        }

        /** Those of the rows from {@code from} to before {@code to}, {@code [rows, width]}. */
        NDArray of(NDManager scratch, TargetPositions places, int from, int to) {
            NDList parts = new NDList();
            int batch = 0;
            for (int row = from; row < to; ) {
                while (firstSequences[batch + 1] <= places.sequence(row)) {
                    batch++;
                }
                int end = row;
                while (end < to && places.sequence(end) < firstSequences[batch + 1]) {
                    end++;
                }
                Shape shape = batches.get(batch).getShape();
                int first = firstSequences[batch];
                int[] indices = IntStream.range(row, end)
                        .map(i -> (places.sequence(i) - first) * (int) shape.get(1) + places.position(i))
                        .toArray();
                NDArray flat = batches.get(batch).reshape(-1, shape.get(2));
                flat.attach(scratch);
                parts.add(Torch.embedding(flat, NativeFloats.indices(scratch, indices, indices.length)));
                row = end;
            }
            return parts.size() == 1 ? parts.get(0) : NDArrays.concat(parts, 0);
        }
    }

    private void scan(NDManager manager, List<List<NDArray>> models, TargetPositions places, Consumer consumer)
            throws IOException {
        int vocabulary = decoder.config().vocabulary().size();
        int width = decoder.config().vocabulary().width();
        int loaded = Math.max(1, Math.min(vocabulary, weightsAtOnce / width));
        Weight table = weights.weight(decoder.headTensor());
        Optional<Weight> bias = decoder.headBias().isPresent()
                ? Optional.of(weights.weight(decoder.headBias().get()))
                : Optional.empty();
        List<States> states = models.stream().map(States::new).toList();
        int pieces = (places.rows() + ROWS - 1) / ROWS;
        for (int token = 0; token < vocabulary; token += loaded) {
            int first = token;
            try (NDManager part = manager.newSubManager()) {
                int end = Math.min(vocabulary, token + loaded);
                NDArray head = table.rows(part, token, end);
                NDArray added = bias.isPresent() ? bias.get().rows(part, token, end) : null;
                Parallel.forEachOfTensors(
                        pieces,
                        Parallel.THREADS,
                        piece -> scan(states, places, piece * ROWS, first, head, added, consumer));
            }
        }
    }

    /** The logits of some rows from {@code row} on, for the tokens of {@code head}, whose first is {@code first}. */
    private void scan(
            List<States> models,
            TargetPositions places,
            int row,
            int first,
            NDArray head,
            @Nullable NDArray bias,
            Consumer consumer) {
        int tokens = (int) head.getShape().get(0);
        int tile = Math.max(1, logitsAtOnce / ROWS);
        int end = Math.min(places.rows(), row + ROWS);
        try (NDManager scratch = head.getManager().newSubManager()) {
            List<NDArray> states = models.stream()
                    .map(model -> model.of(scratch, places, row, end))
                    .toList();
            for (int token = 0; token < tokens; token += tile) {
                try (NDManager step = scratch.newSubManager()) {
                    NDIndex some = new NDIndex("{}:{}", token, Math.min(tokens, token + tile));
                    NDArray part = head.get(step, some);
                    NDArray added = bias == null ? null : bias.get(step, some);
                    List<NDArray> logits = new ArrayList<>();
                    for (NDArray model : states) {
                        model.tempAttach(step);
                        logits.add(decoder.logits(model, part, added));
                    }
                    consumer.accept(row, first + token, logits);
                }
            }
        }
    }

    /** {@code log Σ exp} of each row, over the tokens seen so far. */
    private static final class LogSums {
        private final double[] sums;

        LogSums(int rows) {
            sums = new double[rows];
            Arrays.fill(sums, Double.NEGATIVE_INFINITY);
        }

        /** Adds sums of some tokens, and returns them. */
        double[] add(int row, NDArray some) {
            double[] added = some.toDoubleArray();
            for (int i = 0; i < added.length; i++) {
                sums[row + i] = logAdd(sums[row + i], added[i]);
            }
            return added;
        }

        double of(int row) {
            return sums[row];
        }

        double[] copy(int row, int count) {
            return Arrays.copyOfRange(sums, row, row + count);
        }

        /** {@code log(exp(a) + exp(b))}. */
        private static double logAdd(double a, double b) {
            double larger = Math.max(a, b);
            return Math.min(a, b) == Double.NEGATIVE_INFINITY
                    ? larger
                    : larger + Math.log1p(Math.exp(Math.min(a, b) - larger));
        }
    }

    /** The likeliest token of each row among those seen so far, the lowest id where several are. */
    private static final class Maxima {
        private final float[] values;
        private final int[] tokens;

        Maxima(int rows) {
            values = new float[rows];
            tokens = new int[rows];
            Arrays.fill(values, Float.NEGATIVE_INFINITY);
        }

        /**
         * Takes logits.
         *
         * @param largest of each row; only where it exceeds those before is its place looked for
         */
        void add(int row, int token, NDArray logits, NDArray largest) {
            float[] found = largest.toFloatArray();
            FloatBuffer window = NativeFloats.window(logits);
            int width = (int) logits.getShape().get(1);
            for (int i = 0; i < found.length; i++) {
                if (found[i] > values[row + i]) {
                    values[row + i] = found[i];
                    int place = i * width;
                    while (window.get(place) != found[i]) {
                        place++;
                    }
                    tokens[row + i] = token + place - i * width;
                }
            }
        }

        int token(int row) {
            return tokens[row];
        }
    }
}
