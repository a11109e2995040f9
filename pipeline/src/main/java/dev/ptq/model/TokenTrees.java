package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import java.util.Arrays;
import java.util.List;

/** A batch of trees, padded at the end to one length. Padding sees only itself, and nothing sees it. */
record TokenTrees(List<TokenTree> trees) {
    TokenTrees {
        trees = List.copyOf(trees);
    }

    /** Tokens per tree, padding included. */
    int tokens() {
        return trees.stream().mapToInt(TokenTree::size).max().orElse(0);
    }

    /** Length of the trunk common to all trees: the first tokens that form one sequence in every tree. */
    int trunk() {
        return trees.stream().mapToInt(TokenTree::trunk).min().orElse(0);
    }

    int[][] ids() {
        return padded(TokenTree::id);
    }

    int[][] positions() {
        return padded(TokenTree::position);
    }

    private interface Property {
        int of(TokenTree tree, int place);
    }

    private int[][] padded(Property property) {
        int[][] values = new int[trees.size()][tokens()];
        for (int i = 0; i < values.length; i++) {
            for (int place = 0; place < trees.get(i).size(); place++) {
                values[i][place] = property.of(trees.get(i), place);
            }
        }
        return values;
    }

    /** Number of values in {@link #mask}. */
    long maskSize() {
        return (long) trees.size() * (tokens() - trunk()) * tokens();
    }

    /**
     * Additive mask of the tokens behind the trunk, {@code [batch, 1, tokens - trunk, tokens]}.
     *
     * @param window positions that a token sees, itself included
     */
    NDArray mask(NDManager manager, int window) {
        int tokens = tokens();
        int trunk = trunk();
        int rows = tokens - trunk;
        float[] mask = new float[Math.multiplyExact(Math.multiplyExact(trees.size(), rows), tokens)];
        Arrays.fill(mask, Float.NEGATIVE_INFINITY);
        for (int i = 0; i < trees.size(); i++) {
            TokenTree tree = trees.get(i);
            for (int place = trunk; place < tokens; place++) {
                int row = (i * rows + place - trunk) * tokens;
                int parent = place < tree.size() ? tree.parent(place) : -1;
                if (parent < trunk) {
                    Arrays.fill(mask, row, row + parent + 1, 0);
                } else {
                    System.arraycopy(mask, (i * rows + parent - trunk) * tokens, mask, row, parent + 1);
                }
                mask[row + place] = 0;
            }
            for (int place = trunk; place < tree.size(); place++) {
                int row = (i * rows + place - trunk) * tokens;
                for (int before = 0; before < place; before++) {
                    if (tree.position(place) - tree.position(before) >= window) {
                        mask[row + before] = Float.NEGATIVE_INFINITY;
                    }
                }
            }
        }
        return NativeFloats.of(manager, mask, trees.size(), 1, rows, tokens);
    }
}
