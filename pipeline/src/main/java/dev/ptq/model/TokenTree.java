package dev.ptq.model;

import java.util.Arrays;

/**
 * Sequences with common beginnings, each stored once: a token's context is the path from the first token to it, and its
 * position is the length of that path. Tokens come after those they follow.
 */
public final class TokenTree {
    private static final int FIRST = -1;

    private int[] ids = new int[16];
    private int[] parents = new int[16];
    private int[] positions = new int[16];
    private int size;
    private int trunk;

    /**
     * Adds a sequence whose first tokens are an existing path.
     *
     * @param path places of those tokens
     * @return the places of all of the sequence's tokens
     */
    public int[] add(int[] path, int[] sequence) {
        int[] places = Arrays.copyOf(path, sequence.length);
        for (int i = path.length; i < sequence.length; i++) {
            places[i] = add(i == 0 ? FIRST : places[i - 1], i, sequence[i]);
        }
        return places;
    }

    private int add(int parent, int position, int id) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
            parents = Arrays.copyOf(parents, 2 * size);
            positions = Arrays.copyOf(positions, 2 * size);
        }
        if (trunk == size && parent == size - 1) {
            trunk++;
        }
        ids[size] = id;
        parents[size] = parent;
        positions[size] = position;
        return size++;
    }

    /** Number of tokens. */
    public int size() {
        return size;
    }

    /** Length of the trunk: the first tokens that form one sequence, each after the one before. */
    public int trunk() {
        return trunk;
    }

    int id(int place) {
        return ids[place];
    }

    int position(int place) {
        return positions[place];
    }

    /** The preceding token's place, or -1. */
    int parent(int place) {
        return parents[place];
    }
}
