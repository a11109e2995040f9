package dev.ptq.evaluate;

import dev.ptq.model.TokenTree;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Merges inputs with common beginnings into trees, and batches trees of similar size. */
final class PrefixTrees {
    /** The cost of a token besides its attention, in attention scores per hidden channel. */
    private static final long SCORES_PER_CHANNEL = 6;

    /** The largest mask of a batch, in values, unless a single tree needs more. */
    private static final long MASK = 1L << 22;

    /** A tree, and the position in it of each token of each input. */
    record Grown(TokenTree tree, List<Leaf> leaves) {}

    /** An input in a tree. */
    static final class Leaf {
        private final int input;
        private final int[] places;

        Leaf(int input, int[] places) {
            this.input = input;
            this.places = places;
        }

        /** Returns the index of the input. */
        int input() {
            return input;
        }

        /** Returns the position in the tree of each of its tokens. */
        int[] places() {
            return places;
        }
    }

    private PrefixTrees() {}

    /**
     * Batches inputs of the same length, each in a tree of its own.
     *
     * @param inputs token ids, by length
     * @param batchSize inputs in a batch at most
     */
    static List<List<Grown>> alone(List<IntBuffer> inputs, int batchSize) {
        List<List<Grown>> batches = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            int[] ids = ids(inputs.get(i));
            boolean fits = i > 0
                    && inputs.get(i - 1).remaining() == ids.length
                    && batches.get(batches.size() - 1).size() < batchSize;
            if (!fits) {
                batches.add(new ArrayList<>());
            }
            TokenTree tree = new TokenTree();
            Leaf leaf = new Leaf(i, tree.add(new int[0], ids));
            batches.get(batches.size() - 1).add(new Grown(tree, List.of(leaf)));
        }
        return batches;
    }

    /**
     * Grows trees from inputs.
     *
     * @param inputs token ids, all different
     * @param first of them to take
     * @param hiddenSize of the model: the larger, the more a shared token saves
     * @param mostTokens of a tree; an input may not be longer
     */
    static List<Grown> of(List<IntBuffer> inputs, int first, int hiddenSize, long mostTokens) {
        List<Integer> order = new ArrayList<>();
        for (int i = first; i < inputs.size(); i++) {
            order.add(i);
        }
        order.sort(Comparator.comparing(inputs::get));
        List<Grown> trees = new ArrayList<>();
        int[] last = new int[0];
        int[] path = new int[0];
        for (int index : order) {
            int[] ids = ids(inputs.get(index));
            int mismatch = Arrays.mismatch(last, ids);
            int shared = mismatch < 0 ? ids.length : mismatch;
            Grown tree = trees.isEmpty() ? null : trees.get(trees.size() - 1);
            if (tree == null || !pays(tree.tree(), shared, ids.length, path, hiddenSize, mostTokens)) {
                tree = new Grown(new TokenTree(), new ArrayList<>());
                trees.add(tree);
                shared = 0;
            }
            path = tree.tree().add(Arrays.copyOf(path, shared), ids);
            tree.leaves().add(new Leaf(index, path));
            last = ids;
        }
        return trees;
    }

    /** Returns whether sharing the tokens saves more than the masked scores of the larger tree cost. */
    private static boolean pays(TokenTree tree, int shared, int length, int[] path, int hiddenSize, long mostTokens) {
        long size = (long) tree.size() + length - shared;
        if (shared == 0 || size > mostTokens) {
            return false;
        }
        // the first path stays in one piece; others fork from it
        boolean goesOn = tree.trunk() == tree.size() && path[shared - 1] == tree.size() - 1;
        long trunk = goesOn ? size : tree.trunk();
        long more = scores(size) - scores(tree.size()) - scores(length);
        return more <= SCORES_PER_CHANNEL * hiddenSize * shared && (size - trunk) * size <= MASK;
    }

    private static long scores(long size) {
        return size * size / 2;
    }

    /**
     * Batches trees, the largest first; neighbours have similar sizes and, among these, similar trunks.
     *
     * @param batchSize trees in a batch at most
     * @param mostTokens in a batch of several
     */
    static List<List<Grown>> batches(List<Grown> trees, int batchSize, long mostTokens) {
        List<Grown> sorted = new ArrayList<>(trees);
        sorted.sort(
                Comparator.comparingInt((Grown grown) -> sizeClass(grown.tree().size()))
                        .thenComparingInt(grown -> grown.tree().trunk())
                        .thenComparingInt(grown -> grown.tree().size())
                        .reversed());
        List<List<Grown>> batches = new ArrayList<>();
        List<Grown> batch = new ArrayList<>();
        long widest = 0;
        long narrowest = Long.MAX_VALUE;
        long trunk = Long.MAX_VALUE;
        for (Grown grown : sorted) {
            long own = grown.tree().size();
            widest = Math.max(widest, own);
            narrowest = Math.min(narrowest, own);
            trunk = Math.min(trunk, grown.tree().trunk());
            long padded = (batch.size() + 1) * widest;
            boolean fits = batch.size() < batchSize
                    && 4 * narrowest >= 3 * widest
                    && padded <= mostTokens
                    && padded * (widest - trunk) <= MASK;
            if (!batch.isEmpty() && !fits) {
                batches.add(batch);
                batch = new ArrayList<>();
                widest = own;
                narrowest = own;
                trunk = grown.tree().trunk();
            }
            batch.add(grown);
        }
        if (!batch.isEmpty()) {
            batches.add(batch);
        }
        return batches;
    }

    /** Sizes of one class differ by less than a tenth. */
    private static int sizeClass(int size) {
        return (int) (8 * Math.log(size) / Math.log(2));
    }

    static int[] ids(IntBuffer input) {
        int[] ids = new int[input.remaining()];
        input.duplicate().get(ids);
        return ids;
    }
}
