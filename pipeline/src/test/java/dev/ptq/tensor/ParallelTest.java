package dev.ptq.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParallelTest {
    private static NDManager manager;

    @BeforeAll
    static void startEngine() {
        manager = TensorEngine.newManager();
    }

    @AfterAll
    static void closeManager() {
        manager.close();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 1000})
    void everyPieceRunsOnce(int count) throws IOException {
        AtomicIntegerArray runs = new AtomicIntegerArray(count);
        Parallel.forEachOfTensors(count, 8, runs::incrementAndGet);
        Parallel.forEach(count, () -> runs, AtomicIntegerArray::incrementAndGet);
        for (int i = 0; i < count; i++) {
            assertThat(runs.get(i)).isEqualTo(2);
        }
    }

    @Test
    void piecesRunAtOnceEachWithOneThreadOfTheEngine() throws IOException {
        assumeThat(Parallel.THREADS).isGreaterThan(1);
        CountDownLatch both = new CountDownLatch(2);
        AtomicInteger most = new AtomicInteger();
        Parallel.forEachOfTensors(Parallel.THREADS, Parallel.THREADS, index -> {
            both.countDown();
            try {
                assertThat(both.await(30, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            most.accumulateAndGet(JniUtils.getNumThreads(), Math::max);
            assertThat(JniUtils.isGradMode()).isFalse();
        });
        assertThat(most).hasValue(1);
    }

    @Test
    void theEngineHasOneThreadForWhoeverCallsIt() throws InterruptedException {
        assertThat(JniUtils.getNumThreads()).isEqualTo(1);
        AtomicInteger ofAnother = new AtomicInteger();
        Thread another = new Thread(() -> {
            try (NDManager own = TensorEngine.newManager()) {
                assertThat(own.isOpen()).isTrue();
                ofAnother.set(JniUtils.getNumThreads());
            }
        });
        another.start();
        another.join();
        assertThat(ofAnother).hasValue(1);
    }

    @Test
    void whatTakesMuchMemoryRunsAlone() throws IOException {
        Thread own = Thread.currentThread();
        Parallel.forEachOfTensors(
                8, 1, index -> assertThat(Thread.currentThread()).isSameAs(own));
    }

    /** Also where pieces run one after the other, so that the number of threads decides nothing. */
    @ParameterizedTest
    @ValueSource(ints = {1, 8})
    void piecesHaveOneThreadOfTheEngineWhereverTheyRun(int atOnce) {
        AtomicInteger pieces = new AtomicInteger();
        double after = Parallel.onEngineThreads(() -> {
            assertThat(JniUtils.getNumThreads()).isEqualTo(Parallel.ENGINE_THREADS);
            JniUtils.setGradMode(true);
            try {
                Parallel.forEachOfTensors(4, atOnce, index -> {
                    assertThat(JniUtils.getNumThreads()).isEqualTo(1);
                    assertThat(JniUtils.isGradMode()).isFalse();
                    pieces.incrementAndGet();
                });
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
            assertThat(JniUtils.isGradMode()).isTrue();
            return JniUtils.getNumThreads();
        });
        assertThat(pieces).hasValue(4);
        assertThat(after).isEqualTo(Parallel.ENGINE_THREADS);
        assertThat(JniUtils.getNumThreads()).isEqualTo(1);
        assertThat(JniUtils.isGradMode()).isFalse();
    }

    @Test
    void aLoopWithinAPieceStaysOnItsThread() throws IOException {
        Parallel.forEachOfTensors(8, 8, index -> {
            Thread own = Thread.currentThread();
            Parallel.forEach(
                    100,
                    () -> own,
                    (thread, inner) -> assertThat(Thread.currentThread()).isSameAs(thread));
            Parallel.forEachOfTensors(
                    4, 4, inner -> assertThat(Thread.currentThread()).isSameAs(own));
        });
        // and afterwards a loop has all threads again
        assumeThat(Parallel.THREADS).isGreaterThan(1);
        CountDownLatch both = new CountDownLatch(2);
        Parallel.forEach(2, () -> both, (latch, index) -> {
            latch.countDown();
            try {
                assertThat(latch.await(30, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    @Test
    void smallWorkStaysOnOneThread() {
        Thread own = Thread.currentThread();
        double result = Parallel.onOneThread(() -> {
            Parallel.forEach(
                    100,
                    () -> own,
                    (thread, inner) -> assertThat(Thread.currentThread()).isSameAs(thread));
            return 3;
        });
        assertThat(result).isEqualTo(3);
        assertThatThrownBy(() -> Parallel.onOneThread(() -> {
                    throw new IllegalStateException("wrong");
                }))
                .hasMessage("wrong");
    }

    @Test
    void aFailureIsThrownAsItWasWhenNothingRunsAnyMore() {
        AtomicInteger running = new AtomicInteger();
        AtomicInteger begun = new AtomicInteger();
        IOException failure = new IOException("piece 3");
        assertThatThrownBy(() -> Parallel.forEachOfTensors(100_000, 8, index -> {
                    begun.incrementAndGet();
                    running.incrementAndGet();
                    try (NDArray ones = manager.ones(new Shape(8))) {
                        if (index == 3) {
                            throw failure;
                        }
                        assertThat(ones.sum().getFloat()).isEqualTo(8);
                    } finally {
                        running.decrementAndGet();
                    }
                }))
                .isSameAs(failure);
        assertThat(running).hasValue(0);
        assertThat(begun.get()).isLessThan(100_000);
        IllegalArgumentException wrong = new IllegalArgumentException("wrong");
        assertThatThrownBy(() -> Parallel.forEachOfTensors(10, 8, index -> {
                    throw wrong;
                }))
                .isSameAs(wrong);
    }
}
