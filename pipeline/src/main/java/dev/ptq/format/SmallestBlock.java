package dev.ptq.format;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The smallest of the blocks' largest magnitudes. LQER uses it for all-zero blocks: if even that is beyond the range of
 * exponents, so is zero, and no value is a number.
 */
final class SmallestBlock {
    private final BlockFloatFormat format;
    private final AtomicInteger smallest = new AtomicInteger(BlockFloatFormat.LARGEST_FINITE_BITS);
    private final AtomicBoolean zeros = new AtomicBoolean();

    SmallestBlock(BlockFloatFormat format) {
        this.format = format;
    }

    /**
     * Records some blocks, on any thread.
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

    /** Returns whether no value is a number. */
    boolean spoilsAll() {
        int least = smallest.get() + 1;
        return format.ceil()
                && zeros.get()
                && least <= BlockFloatFormat.LARGEST_FINITE_BITS
                && format.blockExponent(least) > Float.MAX_EXPONENT;
    }
}
