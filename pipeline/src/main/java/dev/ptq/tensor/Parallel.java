package dev.ptq.tensor;

import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;

/** Loops over independent pieces on all processors. A loop within a piece stays on that piece's thread. */
public final class Parallel {
    /** Threads of our own kernels and of the tensor engine: {@code PTQ_THREADS}, or one per processor. */
    public static final int THREADS = threads();

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
     * As {@link #forEach}, for pieces that use the tensor engine. While several run, each has one of its threads: small
     * tensors keep the processors busy so, where the engine's threads would wait for each other. A single one has all.
     *
     * @param atOnce pieces that may run at once, by the memory they take
     * @throws IOException of a piece that failed; those that had not been begun are left out
     */
    public static void forEachOfTensors(int count, int atOnce, TensorPiece piece) throws IOException {
        int workers = Math.min(Math.min(THREADS, count), atOnce);
        if (workers <= 1 || WITHIN.get()) {
            for (int i = 0; i < count; i++) {
                piece.run(i);
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        forEach(workers, () -> piece, (same, worker) -> {
            TensorEngine.Scope own = TensorEngine.oneThreadWithoutGradients();
            try {
                for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                    same.run(i);
                }
            } catch (IOException | RuntimeException | Error e) {
                // kept, since what is thrown here would not wait for the other threads
                failure.compareAndSet(null, e);
            } finally {
                next.set(count);
                own.close();
            }
        });
        Throwable thrown = failure.get();
        if (thrown instanceof IOException e) {
            throw e;
        } else if (thrown instanceof RuntimeException e) {
            throw e;
        } else if (thrown instanceof Error e) {
            throw e;
        }
    }

    /** Runs work on small tensors with this thread alone: several, the engine's too, would wait for each other. */
    public static double onOneThread(DoubleSupplier work) {
        boolean within = WITHIN.get();
        WITHIN.set(true);
        TensorEngine.Scope alone = TensorEngine.oneThread();
        try {
            return work.getAsDouble();
        } finally {
            alone.close();
            WITHIN.set(within);
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
