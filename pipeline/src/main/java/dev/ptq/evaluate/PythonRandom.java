package dev.ptq.evaluate;

import java.util.Arrays;

/**
 * The random numbers of CPython's {@code random.Random}, bit for bit, to repeat the draws of Python programs.
 *
 * <p>Source: Matsumoto and Nishimura, Mersenne Twister, 1998 (MT19937, seeded by an array).
 */
public final class PythonRandom {
    private static final int SIZE = 624;
    private static final int SHIFT = 397;
    private static final int ARRAY_SEED = 19650218;

    private final int[] state = new int[SIZE];
    private int next = SIZE;

    /**
     * Seeds the generator as {@code random.Random(seed)} does.
     *
     * @param seed not negative
     */
    public PythonRandom(int seed) {
        state[0] = ARRAY_SEED;
        for (int i = 1; i < SIZE; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
        }
        // a seed below 2^32 is a key of one word
        int i = 1;
        for (int k = 0; k < SIZE; k++) {
            state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >>> 30)) * 1664525)) + seed;
            i = following(i);
        }
        for (int k = 0; k < SIZE - 1; k++) {
            state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >>> 30)) * 1566083941)) - i;
            i = following(i);
        }
        state[0] = 0x80000000;
    }

    private int following(int i) {
        if (i + 1 < SIZE) {
            return i + 1;
        }
        state[0] = state[SIZE - 1];
        return 1;
    }

    /** Returns the next 32 bits. */
    private int bits() {
        if (next == SIZE) {
            for (int i = 0; i < SIZE; i++) {
                int mixed = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
                state[i] = state[(i + SHIFT) % SIZE] ^ (mixed >>> 1) ^ ((mixed & 1) * 0x9908b0df);
            }
            next = 0;
        }
        int bits = state[next++];
        bits ^= bits >>> 11;
        bits ^= (bits << 7) & 0x9d2c5680;
        bits ^= (bits << 15) & 0xefc60000;
        return bits ^ (bits >>> 18);
    }

    /** Returns a number from 0 to 1, exclusive, of 53 bits. */
    public double uniform() {
        int high = bits() >>> 5;
        int low = bits() >>> 6;
        return (high * 67108864.0 + low) / 9007199254740992.0;
    }

    /** Returns a whole number from 0 to {@code bound}, exclusive. */
    public int below(int bound) {
        int unused = Integer.numberOfLeadingZeros(bound);
        int drawn = bits() >>> unused;
        while (drawn >= bound) {
            drawn = bits() >>> unused;
        }
        return drawn;
    }

    /** Returns {@code count} different numbers below {@code size}, in the order of {@code random.sample}. */
    public int[] sample(int size, int count) {
        if (count > size) {
            throw new IllegalArgumentException("cannot draw " + count + " of " + size);
        }
        long small = 21;
        if (count > 5) {
            long power = 1;
            while (power < 3L * count) {
                power *= 4;
            }
            small += power;
        }
        int[] drawn = new int[count];
        if (size <= small) {
            int[] left = identity(size);
            for (int i = 0; i < count; i++) {
                int at = below(size - i);
                drawn[i] = left[at];
                left[at] = left[size - i - 1];
            }
            return drawn;
        }
        boolean[] seen = new boolean[size];
        for (int i = 0; i < count; i++) {
            do {
                drawn[i] = below(size);
            } while (seen[drawn[i]]);
            seen[drawn[i]] = true;
        }
        return drawn;
    }

    /** Returns the numbers below {@code size} in the order of {@code random.shuffle}. */
    public int[] shuffled(int size) {
        int[] order = identity(size);
        for (int i = size - 1; i > 0; i--) {
            int other = below(i + 1);
            int moved = order[i];
            order[i] = order[other];
            order[other] = moved;
        }
        return order;
    }

    private static int[] identity(int size) {
        int[] numbers = new int[size];
        Arrays.setAll(numbers, i -> i);
        return numbers;
    }
}
