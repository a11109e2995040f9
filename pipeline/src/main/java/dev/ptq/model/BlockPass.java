package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Applies single blocks of a model to hidden states. */
public final class BlockPass implements AutoCloseable {
    /** Hidden states of a piece, in values: sequences are put together until there are so many. */
    private static final long PIECE = 1L << 17;
    /** Hidden states that go through a block at once, in values: a bound on memory. */
    private static final long AT_ONCE = 1L << 25;

    private final LanguageModel model;
    /** Those of lengths that came lately, while nobody uses them. */
    private final Queue<SequenceConstants> spare = new ConcurrentLinkedQueue<>();

    public BlockPass(LanguageModel model) {
        this.model = model;
    }

    /**
     * Returns what a block makes of hidden states, attached to their manager.
     *
     * @param hidden {@code [batch, tokens, hiddenSize]}; stays as it is
     */
    public NDArray forward(Block block, NDArray hidden, ActivationObserver observer) {
        return forward(block, hidden, observer, Operators.inPlace());
    }

    /** As above, with other operators. */
    public NDArray forward(Block block, NDArray hidden, ActivationObserver observer, Operators operators) {
        return withConstants(
                hidden,
                constants -> model.decoder().forward(new ForwardPass(block, constants, observer, operators), hidden));
    }

    /**
     * Returns what a block's attention, or its MLP, makes of its input, before a norm behind it and before it is added to
     * anything; attached to the manager of the input.
     *
     * @param entry where it begins: {@link HookPoint#ATTENTION_IN}, {@link HookPoint#MLP_IN} or, of a mixture, {@link
     *     HookPoint#MIXTURE_IN}
     * @param input {@code [batch, tokens, hiddenSize]}, as observers see it there; stays as it is
     */
    public NDArray branch(Block block, HookPoint entry, NDArray input) {
        return withConstants(input, constants -> {
            ForwardPass pass = new ForwardPass(block, constants, ActivationObserver.NONE, Operators.inPlace());
            return model.decoder().branch(pass, entry, input);
        });
    }

    /** Computes something from plain sequences, {@code [batch, tokens, ...]}. */
    private NDArray withConstants(NDArray sequences, Function<SequenceConstants, NDArray> made) {
        SequenceConstants constants = plain((int) sequences.getShape().get(1));
        try {
            return made.apply(constants);
        } finally {
            spare.add(constants);
        }
    }

    /** Puts what a block makes of every batch in its place. */
    public void advance(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        advance(block, states, observer, done -> {});
    }

    /**
     * Puts what a block makes of every batch in its place.
     *
     * @param progress is told the number of batches done, by one thread at a time
     * @throws IOException naming the block, if it makes a value that is NaN or infinite
     */
    void advance(Block block, HiddenStates states, ActivationObserver observer, IntConsumer progress)
            throws IOException {
        AtomicInteger done = new AtomicInteger();
        outputs(block, states, observer, (batch, output) -> {
            states.replace(batch, output);
            synchronized (done) {
                progress.accept(done.incrementAndGet());
            }
        });
    }

    /** Returns what a block makes of all batches; they stay as they are. */
    public HiddenStates outputs(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        NDArray[] outputs = new NDArray[states.size()];
        outputs(block, states, observer, (batch, output) -> outputs[batch] = output);
        HiddenStates all = new HiddenStates(model.manager().newSubManager());
        for (int i = 0; i < outputs.length; i++) {
            all.add(outputs[i], states.trees(i));
        }
        return all;
    }

    /**
     * Shows an observer what enters the linears and the cache of a block, as far as it wants to see it; the states stay as
     * they are.
     */
    public void observe(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        Set<HookPoint> last = block.linears().stream()
                .map(linear -> linear.spec().hookPoint())
                .collect(Collectors.toSet());
        if (last.stream().anyMatch(HookPoint::isRouted)) {
            last.add(HookPoint.MIXTURE_IN);
        }
        last.addAll(HookPoint.OF_CACHE);
        last.removeIf(hookPoint -> !observer.wants(block.index(), hookPoint));
        forEach(block, states, new ObserverTurns(observer, last), (piece, output) -> {});
    }

    /** How many pieces of hidden states, each of {@code values}, go through a block at once at most. */
    public static int atOnce(long values) {
        return (int) Math.max(1, Math.min(Parallel.THREADS, AT_ONCE / values));
    }

    /**
     * The values of a piece of hidden states, of batches of plain sequences.
     *
     * @param spansBatch whether a batch must not be cut into pieces
     */
    public static long pieceValues(int batchSize, int tokens, int hiddenSize, boolean spansBatch) {
        long sequence = (long) tokens * hiddenSize;
        return sequence * (spansBatch ? batchSize : sequencesOfPiece(batchSize, sequence));
    }

    /** Some sequences of a batch, or all. The pieces follow from the states alone, since what is computed at once decides last bits. */
    private record Piece(int batch, int from, int to, long values) {
        static List<Piece> of(HiddenStates states, boolean spansBatch) {
            List<Piece> pieces = new ArrayList<>();
            for (int batch = 0; batch < states.size(); batch++) {
                long values = states.batch(batch).size();
                int sequences = (int) states.batch(batch).getShape().get(0);
                Optional<TokenTrees> trees = states.trees(batch);
                if (trees.isPresent()) {
                    pieces.add(
                            new Piece(batch, 0, sequences, values + trees.get().maskSize()));
                    continue;
                }
                int step = spansBatch ? sequences : sequencesOfPiece(sequences, values / sequences);
                for (int from = 0; from < sequences; from += step) {
                    int to = Math.min(sequences, from + step);
                    pieces.add(new Piece(batch, from, to, (to - from) * (values / sequences)));
                }
            }
            return pieces;
        }
    }

    private static int sequencesOfPiece(int sequences, long values) {
        return (int) Math.max(1, Math.min(sequences, PIECE / values));
    }

    /** What is done with the output of a piece, which is gone afterwards. */
    private interface PieceOutput {
        void accept(Piece piece, NDArray output);
    }

    /** What is done with the output of a batch, on the thread that completed it. */
    private interface BatchOutput {
        void accept(int batch, NDArray output);
    }

    private void outputs(Block block, HiddenStates states, ActivationObserver observer, BatchOutput target)
            throws IOException {
        @Nullable NDArray[] outputs = new NDArray[states.size()];
        int[] missing = new int[states.size()];
        for (int i = 0; i < missing.length; i++) {
            missing[i] = (int) states.batch(i).getShape().get(0);
        }
        forEach(block, states, new ObserverTurns(observer, Set.of()), (piece, output) -> {
            NDArray batch;
            synchronized (missing) {
                batch = outputs[piece.batch()];
                if (batch == null) {
                    batch = NativeFloats.create(
                            model.manager(), states.batch(piece.batch()).getShape());
                    outputs[piece.batch()] = batch;
                }
            }
            int sequence = Math.toIntExact(output.size() / (piece.to() - piece.from()));
            NativeFloats.window(batch)
                    .put(piece.from() * sequence, NativeFloats.window(output), 0, Math.toIntExact(output.size()));
            boolean complete;
            synchronized (missing) {
                missing[piece.batch()] -= piece.to() - piece.from();
                complete = missing[piece.batch()] == 0;
            }
            if (complete) {
                target.accept(piece.batch(), batch);
            }
        });
    }

    private void forEach(Block block, HiddenStates states, ObserverTurns turns, PieceOutput target) throws IOException {
        List<Piece> pieces = Piece.of(states, block.spansBatch());
        long largest = pieces.stream().mapToLong(Piece::values).max().orElse(1);
        Parallel.forEachOfTensors(pieces.size(), atOnce(largest), index -> {
            Piece piece = pieces.get(index);
            try (NDManager scratch = model.manager().newSubManager();
                    ObserverTurns.Turn turn = turns.of(index)) {
                NDArray input =
                        states.batch(piece.batch()).get(scratch, new NDIndex("{}:{}", piece.from(), piece.to()));
                Optional<TokenTrees> trees = states.trees(piece.batch());
                NDArray output = forward(block, input, trees, turn);
                if (!NativeFloats.allFinite(output)) {
                    List<HookPoint> wrong = new ArrayList<>();
                    forward(block, input, trees, (same, hookPoint, values) -> {
                        if (!NativeFloats.allFinite(values.values())) {
                            wrong.add(hookPoint);
                        }
                    });
                    throw notFinite(block, wrong.stream().findFirst());
                }
                target.accept(piece, output);
            } catch (ObserverTurns.Complete e) {
                // nobody asks for the output
            }
        });
    }

    private NDArray forward(Block block, NDArray hidden, Optional<TokenTrees> trees, ActivationObserver observer) {
        return trees.isPresent() ? forward(block, hidden, trees.get(), observer) : forward(block, hidden, observer);
    }

    /**
     * The error of a block whose output is NaN or infinite.
     *
     * @param first hook point where a value is; absent: behind the last
     */
    private IOException notFinite(Block block, Optional<HookPoint> first) throws IOException {
        List<LinearSpec> linears = block.linears().stream().map(Linear::spec).toList();
        LinearSpec linear = linears.stream()
                .filter(spec -> first.filter(spec.hookPoint()::equals).isPresent())
                .findFirst()
                .orElse(linears.get(linears.size() - 1));
        String what = "block " + block.index() + ": the " + (first.isPresent() ? "input" : "output") + " of "
                + linear.module() + " has a value that is NaN or infinite; ";
        return new IOException(
                block.roundsActivations()
                        ? what + "a number format of its operands is out of range"
                        : what
                                + "its activations are in full precision, so float32 does not hold what the model computes ("
                                + model.weights().weight(linear.weightName()).origin() + ")");
    }

    /** Constants are made anew: those of all batches would take more memory than the states. */
    private NDArray forward(Block block, NDArray hidden, TokenTrees trees, ActivationObserver observer) {
        if (block.roundsActivations()) {
            throw new IllegalArgumentException(
                    "block " + block.index() + " rounds what flows through it, which padding would change");
        }
        try (SequenceConstants branched = new SequenceConstants(hidden.getManager(), trees)) {
            return model.decoder().forward(new ForwardPass(block, branched, observer, Operators.inPlace()), hidden);
        }
    }

    /** Returns the caller's own until it puts them back; of several lengths the last one's are kept for each thread. */
    private SequenceConstants plain(int tokens) {
        SequenceConstants last = spare.poll();
        if (last != null && last.tokens() == tokens) {
            return last;
        }
        if (last != null) {
            last.close();
        }
        return new SequenceConstants(model.manager(), tokens);
    }

    @Override
    public void close() {
        spare.forEach(SequenceConstants::close);
        spare.clear();
    }
}
