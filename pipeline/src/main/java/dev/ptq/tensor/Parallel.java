package dev.ptq.tensor;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;

/**
 * Loops over independent pieces on all processors. A loop within a piece stays on that piece's thread. How the work is cut
 * into pieces, and what is done with their results, must not depend on the number of threads: then no result does.
 */
public final class Parallel {
    /** Pieces that run at once: {@code PTQ_THREADS}, or one per processor. */
    public static final int THREADS = threads();

    /** Threads of the engine in {@link #onEngineThreads}. */
    public static final int ENGINE_THREADS = 4;

    private static final String VARIABLE = "PTQ_THREADS";

    private static final ThreadLocal<Boolean> WITHIN = ThreadLocal.withInitial(() -> false);

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

    /** Piece {@code index} of work with tensors. */
    @FunctionalInterface
    public interface TensorPiece {
        void run(int index) throws IOException;
    }

    /**
     * Runs {@code piece} for every index below {@code count}, in any order, each worker with scratch memory of its own.
     * Pieces are handed out one at a time, so unequal ones balance.
     */
    public static <W> void forEach(int count, Scratch<W> scratch, Piece<W> piece) {
        int workers = WITHIN.get() ? 1 : Math.min(THREADS, count);
        if (workers <= 1) {
            W own = scratch.make();
            for (int i = 0; i < count; i++) {
                piece.run(own, i);
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        IntStream.range(0, workers).parallel().forEach(worker -> {
            WITHIN.set(true);
            try {
                W own = scratch.make();
                for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                    piece.run(own, i);
                }
            } finally {
                WITHIN.remove();
            }
        });
    }

    /**
     * As {@link #forEach}, for pieces that use the tensor engine: with one of its threads and without gradients, on any
     * number of threads. They are begun in their order.
     *
     * @param atOnce pieces that may run at once, by the memory they take
     * @throws IOException of the first piece that failed; those that had not been begun are left out
     */
    public static void forEachOfTensors(int count, int atOnce, TensorPiece piece) throws IOException {
        int workers = Math.min(Math.min(THREADS, count), atOnce);
        if (workers <= 1 || WITHIN.get()) {
            TensorEngine.Scope own = TensorEngine.withoutGradients();
            try {
                for (int i = 0; i < count; i++) {
                    piece.run(i);
                }
            } finally {
                own.close();
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        ConcurrentSkipListMap<Integer, Throwable> failures = new ConcurrentSkipListMap<>();
        forEach(workers, () -> piece, (same, worker) -> {
            TensorEngine.Scope own = TensorEngine.withoutGradients();
            try {
                for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                    run(same, i, failures);
                    if (!failures.isEmpty()) {
                        return;
                    }
                }
            } finally {
                own.close();
            }
        });
        // those before it were begun too, and none of them failed: the same one on any number of threads
        Map.Entry<Integer, Throwable> first = failures.firstEntry();
        if (first == null) {
            return;
        }
        if (first.getValue() instanceof IOException e) {
            throw e;
        } else if (first.getValue() instanceof RuntimeException e) {
            throw e;
        } else if (first.getValue() instanceof Error e) {
            throw e;
        }
    }

    /** Failures are kept, since what is thrown would not wait for the other threads. */
    private static void run(TensorPiece piece, int index, Map<Integer, Throwable> failures) {
        try {
            piece.run(index);
        } catch (IOException | RuntimeException | Error e) {
            failures.put(index, e);
        }
    }

    /** Runs work on small tensors with this thread alone: several would wait for each other. */
    public static double onOneThread(DoubleSupplier work) {
        boolean within = WITHIN.get();
        WITHIN.set(true);
        try {
            return work.getAsDouble();
        } finally {
            WITHIN.set(within);
        }
    }

    /**
     * Runs work that cannot be cut into pieces with {@link #ENGINE_THREADS} threads of the engine. There are as many on
     * every machine and whatever {@code PTQ_THREADS} says, since their number decides last bits.
     */
    public static double onEngineThreads(DoubleSupplier work) {
        TensorEngine.Scope several = TensorEngine.withThreads(ENGINE_THREADS);
        try {
            return work.getAsDouble();
        } finally {
            several.close();
        }
    }

    /** What is wrong with {@code PTQ_THREADS}, if anything is; then it counts as left out. */
    public static Optional<String> problem() {
        String given = System.getenv(VARIABLE);
        return given == null || isNumber(given)
                ? Optional.empty()
                : Optional.of(VARIABLE + ": expected a whole number from 1 to 9999, got '" + given + "'");
    }

    static boolean isNumber(String given) {
        return given.matches("[1-9][0-9]{0,3}");
    }

    private static int threads() {
        String given = System.getenv(VARIABLE);
        int processors = Runtime.getRuntime().availableProcessors();
        return given != null && isNumber(given) ? Math.min(Integer.parseInt(given), processors) : processors;
    }
}
