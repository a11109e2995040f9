package dev.ptq.format;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The smallest of the largest magnitudes of blocks. LQER gives an all-zero block this one as its own: where even that is
 * beyond the range of exponents, so is zero, and no value is a number.
 */
final class SmallestBlock {
    private final BlockFloatFormat format;
    private final AtomicInteger smallest = new AtomicInteger(BlockFloatFormat.LARGEST_FINITE_BITS);
    private final AtomicBoolean zeros = new AtomicBoolean();

    SmallestBlock(BlockFloatFormat format) {
        this.format = format;
    }

    /**
     * Takes note of some blocks, on any thread.
     *
     * @param least bits of the smallest largest magnitude that is not zero, less one
     * @param sawZeros whether one of the blocks is all zeros
     */
    void see(int least, boolean sawZeros) {
        if (sawZeros) {
            zeros.set(true);
        }
        if (least < smallest.get()) {
            smallest.accumulateAndGet(least, Math::min);
        }
    }

    /** Whether no value is a number. */
    boolean spoilsAll() {
        int least = smallest.get() + 1;
        return format.ceil()
                && zeros.get()
                && least <= BlockFloatFormat.LARGEST_FINITE_BITS
                && format.blockExponent(least) > Float.MAX_EXPONENT;
    }
}
