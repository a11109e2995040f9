package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.HookInput;
import dev.ptq.model.HookPoint;
import dev.ptq.tensor.NativeFloats;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Keeps some of the tokens that enter the linears of a block: at each hook point every token of a number that the stride
 * divides. The stride is the power of two with which at least as many are kept as asked for, and less than twice as many;
 * where fewer come, all are kept.
 */
public final class TokenSample implements ActivationObserver {
    private final int count;
    private final boolean allTokens;
    private final Map<HookPoint, Kept> kept = new ConcurrentHashMap<>();

    /**
     * Starts with nothing seen.
     *
     * @param count tokens asked for at each hook point
     * @param allTokens whether experts are sampled from all tokens, not just from those that a router sends to them
     */
    public TokenSample(int count, boolean allTokens) {
        this.count = count;
        this.allTokens = allTokens;
    }

    /** What is kept of a hook point. */
    private final class Kept {
        private final List<float[]> rows = new ArrayList<>();
        private long seen;
        private long stride = 1;

        void see(float[] features) {
            if (seen++ % stride != 0) {
                return;
            }
            if (rows.size() == 2 * count) {
                stride *= 2;
                for (int i = 0; i < count; i++) {
                    rows.set(i, rows.get(2 * i));
                }
                rows.subList(count, rows.size()).clear();
            }
            if ((seen - 1) % stride == 0) {
                rows.add(features.clone());
            }
        }

        /** Of exactly twice as many, every other one is enough. */
        List<float[]> enough() {
            List<float[]> some = new ArrayList<>();
            int step = rows.size() == 2 * count ? 2 : 1;
            for (int i = 0; i < rows.size(); i += step) {
                some.add(rows.get(i));
            }
            return some;
        }
    }

    @Override
    public void observe(int block, HookPoint hookPoint, HookInput input) {
        Kept own = kept.computeIfAbsent(hookPoint, key -> new Kept());
        Tokens.forEach(input, own::see);
    }

    @Override
    public boolean seesAllTokens() {
        return allTokens;
    }

    /** Returns the tokens of a hook point, {@code [tokens, features]}, float32, attached to {@code manager}. */
    public NDArray of(NDManager manager, HookPoint hookPoint, int features) {
        List<float[]> rows = kept.getOrDefault(hookPoint, new Kept()).enough();
        float[] all = new float[Math.multiplyExact(rows.size(), features)];
        for (int i = 0; i < rows.size(); i++) {
            System.arraycopy(rows.get(i), 0, all, i * features, features);
        }
        return NativeFloats.of(manager, all, rows.size(), features);
    }
}
