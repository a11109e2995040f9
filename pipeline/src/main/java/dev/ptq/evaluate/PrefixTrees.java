package dev.ptq.evaluate;

import dev.ptq.model.TokenTree;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Puts inputs that begin alike into trees, and trees of about one size into batches. */
final class PrefixTrees {
    /** What a token costs beside its attention, in attention scores per hidden channel. */
    private static final long SCORES_PER_CHANNEL = 6;

    /** Values of a batch's mask, where one tree does not have more. */
    private static final long MASK = 1L << 22;

    /** A tree, and the place in it of each token of each input. */
    record Grown(TokenTree tree, List<Leaf> leaves) {
        private int maskRows() {
            return tree.size() - tree.trunk();
        }
    }

    /** An input in a tree. */
    static final class Leaf {
        private final int input;
        private final int[] places;

        Leaf(int input, int[] places) {
            this.input = input;
            this.places = places;
        }

        /** Which of the inputs. */
        int input() {
            return input;
        }

        /** The place in the tree of each of its tokens. */
        int[] places() {
            return places;
        }
    }

    private PrefixTrees() {}

    /**
     * Grows trees of inputs.
     *
     * @param inputs token ids, all different
     * @param hiddenSize of the model: the larger, the more a shared token saves
     */
    static List<Grown> of(List<IntBuffer> inputs, int hiddenSize) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
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
            if (tree == null || !pays(tree.tree(), shared, ids.length, path, hiddenSize)) {
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

    /** Whether the tokens that an input shares with a tree cost more than the scores that are masked in a larger one. */
    private static boolean pays(TokenTree tree, int shared, int length, int[] path, int hiddenSize) {
        if (shared == 0) {
            return false;
        }
        long size = (long) tree.size() + length - shared;
        // the first path stays in one piece; others fork from it
        boolean goesOn = tree.trunk() == tree.size() && path[shared - 1] == tree.size() - 1;
        long trunk = goesOn ? size : tree.trunk();
        long more = scores(size) - scores(tree.size()) - scores(length);
        return more <= SCORES_PER_CHANNEL * hiddenSize * shared && (size - trunk) * size <= MASK;
    }

    private static long scores(long size) {
        return size * size / 2;
    }

    /** Batches of trees, the largest first; neighbours have about one size and, of one size, about one trunk. */
    static List<List<Grown>> batches(List<Grown> trees, int batchSize) {
        List<Grown> sorted = new ArrayList<>(trees);
        sorted.sort(
                Comparator.comparingInt((Grown grown) -> sizeClass(grown.tree().size()))
                        .thenComparingInt(grown -> grown.tree().trunk())
                        .thenComparingInt(grown -> grown.tree().size())
                        .reversed());
        List<List<Grown>> batches = new ArrayList<>();
        List<Grown> batch = new ArrayList<>();
        long rows = 0;
        long size = 0;
        long smallest = Long.MAX_VALUE;
        for (Grown grown : sorted) {
            long own = grown.tree().size();
            long allRows = Math.max(
                    Math.max(rows, grown.maskRows()),
                    Math.max(size, own) - grown.tree().trunk());
            if (!batch.isEmpty()
                    && (batch.size() == batchSize
                            || 4 * Math.min(own, smallest) < 3 * Math.max(size, own)
                            || (batch.size() + 1) * allRows * Math.max(size, own) > MASK)) {
                batches.add(batch);
                batch = new ArrayList<>();
                rows = 0;
                size = 0;
                smallest = Long.MAX_VALUE;
            }
            batch.add(grown);
            size = Math.max(size, own);
            smallest = Math.min(smallest, own);
            rows = Math.max(
                    Math.max(rows, grown.maskRows()), size - grown.tree().trunk());
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
