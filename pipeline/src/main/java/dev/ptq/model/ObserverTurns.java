package dev.ptq.model;

import dev.ptq.tensor.NativeFloats;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Lets pieces that go through a block side by side show their inputs to one observer as if they went one after the other:
 * at each hook point in their order. What an observer sums up is then the same on any number of threads. A piece waits at
 * a hook point until those before it were seen there; pieces must be begun in their order.
 */
final class ObserverTurns {
    /** Thrown by a turn that has seen all it is there for. */
    static final class Complete extends RuntimeException {
        private static final long serialVersionUID = 1;

        private Complete() {
            super("all was seen", null, false, false);
        }
    }

    private final ActivationObserver observer;
    /** Behind these a pass need not go on; empty: it must. */
    private final Set<HookPoint> last;
    /** The pieces that were seen at a hook point. */
    private final Map<HookPoint, BitSet> seen = new HashMap<>();
    /** The pieces that will not be seen any more. */
    private final BitSet done = new BitSet();

    ObserverTurns(ActivationObserver observer, Set<HookPoint> last) {
        this.observer = observer;
        this.last = last;
    }

    /** The observer of one piece, which is closed when the piece is done, or has failed. */
    Turn of(int piece) {
        return new Turn(piece);
    }

    final class Turn implements ActivationObserver, AutoCloseable {
        private final int piece;
        private final Set<HookPoint> missing;

        private Turn(int piece) {
            this.piece = piece;
            this.missing = new HashSet<>(last);
        }

        @Override
        public void observe(int block, HookPoint hookPoint, HookInput input) {
            if (observer == NONE) {
                return;
            }
            enter(hookPoint, piece);
            try {
                observer.observe(block, hookPoint, input);
            } finally {
                leave(hookPoint, piece);
            }
            // what is not finite goes on, to where the output is checked
            if (missing.remove(hookPoint) && missing.isEmpty() && NativeFloats.allFinite(input.values())) {
                throw new Complete();
            }
        }

        @Override
        public boolean wants(int block, HookPoint hookPoint) {
            return observer.wants(block, hookPoint);
        }

        @Override
        public boolean seesAllTokens() {
            return observer.seesAllTokens();
        }

        @Override
        public void close() {
            finish(piece);
        }
    }

    private synchronized void enter(HookPoint hookPoint, int piece) {
        BitSet here = seen.computeIfAbsent(hookPoint, key -> new BitSet());
        if (here.get(piece)) {
            throw new IllegalStateException("a forward pass came to " + hookPoint.label() + " twice");
        }
        boolean interrupted = false;
        while (isAwaited(here, piece)) {
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

    /** Whether a piece before this one may still come. */
    private boolean isAwaited(BitSet here, int piece) {
        int next = 0;
        while (next < piece && (here.get(next) || done.get(next))) {
            next++;
        }
        return next < piece;
    }

    private synchronized void leave(HookPoint hookPoint, int piece) {
        seen.computeIfAbsent(hookPoint, key -> new BitSet()).set(piece);
        notifyAll();
    }

    private synchronized void finish(int piece) {
        done.set(piece);
        notifyAll();
    }
}
