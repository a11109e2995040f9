package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ObserverTurnsTest {
    private static final int PIECES = 40;
    private static final List<HookPoint> HOOK_POINTS =
            List.of(HookPoint.ATTENTION_IN, HookPoint.ATTENTION_OUT, HookPoint.MLP_IN, HookPoint.MLP_MID);

    private final Map<HookPoint, List<Integer>> seen = new HashMap<>();

    ObserverTurnsTest() {
        for (HookPoint hookPoint : HOOK_POINTS) {
            // not synchronized: a hook point is seen by one thread at a time
            seen.put(hookPoint, new ArrayList<>());
        }
    }

    /** Pieces on several threads, begun in their order, that take their time; piece {@code failing} ends half way. */
    private void run(ObserverTurns turns, int threads, int failing) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try (NDManager manager = TensorEngine.newManager()) {
            AtomicInteger next = new AtomicInteger();
            List<Future<?>> workers = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                workers.add(pool.submit(() -> {
                    for (int piece = next.getAndIncrement(); piece < PIECES; piece = next.getAndIncrement()) {
                        try (NDManager own = manager.newSubManager();
                                ObserverTurns.Turn turn = turns.of(piece)) {
                            NDArray input = NativeFloats.of(own, new float[] {piece}, 1, 1, 1);
                            SplittableRandom random = new SplittableRandom(piece);
                            for (HookPoint hookPoint : HOOK_POINTS) {
                                if (piece == failing && hookPoint.equals(HookPoint.MLP_IN)) {
                                    break;
                                }
                                TimeUnit.MICROSECONDS.sleep(random.nextInt(500));
                                turn.observe(0, hookPoint, input);
                            }
                        }
                    }
                    return null;
                }));
            }
            for (Future<?> worker : workers) {
                worker.get();
            }
        } finally {
            pool.shutdownNow();
        }
    }

    private ObserverTurns turns() {
        return new ObserverTurns(
                (block, hookPoint, input) -> seen.getOrDefault(hookPoint, List.of())
                        .add((int) input.values().getFloat()),
                Set.of());
    }

    private static List<Integer> each(int without) {
        List<Integer> pieces = new ArrayList<>();
        for (int piece = 0; piece < PIECES; piece++) {
            if (piece != without) {
                pieces.add(piece);
            }
        }
        return pieces;
    }

    @Test
    void everyHookPointIsSeenInTheOrderOfThePieces() throws Exception {
        run(turns(), 4, -1);
        assertThat(seen.values()).allSatisfy(pieces -> assertThat(pieces).isEqualTo(each(-1)));
    }

    @Test
    void aPieceThatFailsKeepsNobodyWaiting() throws Exception {
        run(turns(), 3, 7);
        assertThat(seen.get(HookPoint.ATTENTION_OUT)).isEqualTo(each(-1));
        assertThat(seen.get(HookPoint.MLP_IN)).isEqualTo(each(7));
        assertThat(seen.get(HookPoint.MLP_MID)).isEqualTo(each(7));
    }

    @Test
    void comingBackIsRefused() {
        try (NDManager manager = TensorEngine.newManager();
                ObserverTurns.Turn turn = turns().of(0)) {
            NDArray input = NativeFloats.of(manager, new float[1], 1, 1, 1);
            turn.observe(0, HookPoint.ATTENTION_IN, input);
            turn.observe(0, HookPoint.MLP_IN, input);
            assertThatThrownBy(() -> turn.observe(0, HookPoint.ATTENTION_IN, input))
                    .hasMessage("a forward pass came to attn_in twice");
        }
    }
}
