package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.Rope;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Constants that depend only on which token follows which: attention masks, rotations and biases by position. They are
 * made when a block first asks for them.
 */
final class SequenceConstants implements AutoCloseable {
    private final NDManager manager;
    private final int tokens;
    private final Optional<TokenTrees> trees;
    private final Map<Object, NDArray> made = new HashMap<>();

    /** For sequences of one length. */
    SequenceConstants(NDManager parent, int tokens) {
        this(parent, tokens, Optional.empty());
    }

    /** For a batch of trees. */
    SequenceConstants(NDManager parent, TokenTrees trees) {
        this(parent, trees.tokens(), Optional.of(trees));
    }

    private SequenceConstants(NDManager parent, int tokens, Optional<TokenTrees> trees) {
        this.manager = parent.newSubManager();
        this.tokens = tokens;
        this.trees = trees;
    }

    int tokens() {
        return tokens;
    }

    /** What is made at most once. */
    private enum Kind {
        WINDOW,
        MASK,
        CAUSAL,
        ROUNDED,
        COS,
        SIN,
        BIAS
    }

    private record Key(Kind kind, Object part) {}

    private NDArray made(Kind kind, Object part, Supplier<NDArray> maker) {
        Key key = new Key(kind, part);
        NDArray present = made.get(key);
        if (present == null) {
            present = maker.get();
            made.put(key, present);
        }
        return present;
    }

    /**
     * The masks of queries that see what is before them, as {@link Torch#window} gives them.
     *
     * @param window positions that a token sees; absent: all
     */
    NDArray window(OptionalInt window) {
        return made(Kind.WINDOW, window, () -> Torch.window(manager, tokens, window.orElse(tokens)));
    }

    /**
     * The mask of the last queries, in the branches of trees, {@code [batch, 1, rows, tokens]}; without trees it has no
     * rows.
     */
    NDArray mask(OptionalInt window) {
        return made(
                Kind.MASK,
                window,
                () -> trees.isPresent()
                        ? trees.get().mask(manager, window.orElse(tokens))
                        : NativeFloats.of(manager, new float[0], 1, 1, 0, tokens));
    }

    /** The mask of all queries at once, for plain sequences, {@code [tokens, tokens]}. */
    NDArray causal(OptionalInt window) {
        return made(Kind.CAUSAL, window, () -> Attention.causalMask(manager, tokens, window.orElse(tokens)));
    }

    /**
     * How many tokens of a cache, from the first, each query sees rounded, {@code [tokens, 1]}: those of groups that end at
     * least {@code window} tokens before the query.
     *
     * @param group tokens that are rounded together
     * @param window latest tokens that a query sees in full precision, itself included
     */
    NDArray rounded(int group, int window) {
        return made(Kind.ROUNDED, List.of(group, window), () -> {
            float[] rounded = new float[tokens];
            for (int query = 0; query < tokens; query++) {
                rounded[query] = Math.max(0, query + 1 - window) / group * group;
            }
            return NativeFloats.of(manager, rounded, tokens, 1);
        });
    }

    /** What is added to the scores of keys, {@code [1, heads, 1, tokens]}; for trees {@code [batch, heads, 1, tokens]}. */
    Optional<NDArray> bias(AttentionShape attention) {
        return attention
                .alibi()
                .map(alibi -> made(Kind.BIAS, List.of(alibi, attention.heads(), attention.headDim()), () -> {
                    int[][] rows = positions();
                    NDList biases = new NDList();
                    for (int[] row : rows) {
                        float[] values = alibi.biases(attention.heads(), attention.headDim(), row);
                        biases.add(NativeFloats.of(manager, values, 1, attention.heads(), 1, tokens));
                    }
                    return biases.size() == 1 ? biases.get(0) : NDArrays.concat(biases, 0);
                }));
    }

    /** {@code [tokens, width / 2]}; for trees {@code [batch, 1, tokens, width / 2]}. */
    NDArray cos(Rope rope) {
        return made(Kind.COS, rope, () -> scaled(rope, angles(rope).cos()));
    }

    /** See {@link #cos}. */
    NDArray sin(Rope rope) {
        return made(Kind.SIN, rope, () -> scaled(rope, angles(rope).sin()));
    }

    private static NDArray scaled(Rope rope, NDArray values) {
        double magnitude = rope.scaling().magnitude();
        return magnitude == 1 ? values : values.muli(NativeFloats.scalar(values.getManager(), (float) magnitude));
    }

    private NDArray angles(Rope rope) {
        int[] positions =
                Arrays.stream(positions()).flatMapToInt(Arrays::stream).toArray();
        int longest = Arrays.stream(positions).max().orElse(0) + 1;
        float[] angles = rope.angles(positions, longest);
        int half = rope.width() / 2;
        return trees.isPresent()
                ? NativeFloats.of(manager, angles, positions.length / tokens, 1, tokens, half)
                : NativeFloats.of(manager, angles, tokens, half);
    }

    /** Of each tree; of plain sequences, which are all alike, one. */
    private int[][] positions() {
        return trees.map(TokenTrees::positions)
                .orElseGet(() -> new int[][] {IntStream.range(0, tokens).toArray()});
    }

    @Override
    public void close() {
        manager.close();
    }
}
