package dev.ptq.tensor;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/** Loops over independent pieces on all processors. */
public final class Parallel {
    /** Threads of our own kernels and of the tensor engine: {@code PTQ_THREADS}, or one per processor. */
    public static final int THREADS = threads();

    private Parallel() {}

    /** What is done with piece {@code index} on a thread that owns {@code worker}, its scratch memory. */
    @FunctionalInterface
    public interface Piece<W> {
        void run(W worker, int index);
    }

    /** Makes one worker's scratch memory. */
    @FunctionalInterface
    public interface Scratch<W> {
        W make();
    }

    /**
     * Runs {@code piece} for every index below {@code count}, in any order, each worker with scratch memory of its own.
     * Pieces are handed out one at a time, so unequal ones balance.
     */
    public static <W> void forEach(int count, Scratch<W> scratch, Piece<W> piece) {
        int workers = Math.min(THREADS, count);
        if (workers <= 1) {
            W own = scratch.make();
            for (int i = 0; i < count; i++) {
                piece.run(own, i);
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        IntStream.range(0, workers).parallel().forEach(worker -> {
            W own = scratch.make();
            for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                piece.run(own, i);
            }
        });
    }

    private static int threads() {
        String given = System.getenv("PTQ_THREADS");
        int processors = Runtime.getRuntime().availableProcessors();
        return given != null && given.matches("[1-9][0-9]{0,3}")
                ? Math.min(Integer.parseInt(given), processors)
                : processors;
    }
}
