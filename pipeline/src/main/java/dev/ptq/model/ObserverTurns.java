package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.Map;

/**
 * Lets pieces that go through a block side by side show their inputs to one observer as if they went one after the other:
 * at each hook point in their order. What an observer sums up is then the same on any number of threads. A piece waits at
 * a hook point until those before it were seen there; pieces must be begun in their order.
 */
final class ObserverTurns {
    private final ActivationObserver observer;
    /** The pieces that were seen at a hook point, or will not be. */
    private final Map<HookPoint, BitSet> left = new EnumMap<>(HookPoint.class);

    ObserverTurns(ActivationObserver observer) {
        this.observer = observer;
        for (HookPoint hookPoint : HookPoint.values()) {
            left.put(hookPoint, new BitSet());
        }
    }

    /** The observer of one piece, which is closed when the piece is done, or has failed. */
    Turn of(int piece) {
        return new Turn(piece);
    }

    final class Turn implements ActivationObserver, AutoCloseable {
        private final int piece;

        private Turn(int piece) {
            this.piece = piece;
        }

        @Override
        public void observe(int block, HookPoint hookPoint, NDArray input) {
            if (observer == NONE) {
                return;
            }
            enter(hookPoint, piece);
            try {
                observer.observe(block, hookPoint, input);
            } finally {
                leave(hookPoint, piece);
            }
        }

        @Override
        public void close() {
            for (HookPoint hookPoint : HookPoint.values()) {
                leave(hookPoint, piece);
            }
        }
    }

    private synchronized void enter(HookPoint hookPoint, int piece) {
        BitSet gone = pieces(hookPoint);
        if (gone.get(piece)) {
            throw new IllegalStateException("a forward pass came to " + hookPoint.label() + " twice");
        }
        boolean interrupted = false;
        while (gone.nextClearBit(0) < piece) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void leave(HookPoint hookPoint, int piece) {
        pieces(hookPoint).set(piece);
        notifyAll();
    }

    private BitSet pieces(HookPoint hookPoint) {
        return left.getOrDefault(hookPoint, new BitSet());
    }
}
