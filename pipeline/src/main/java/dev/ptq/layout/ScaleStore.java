package dev.ptq.layout;

import dev.ptq.tensor.HalfFloats;
import dev.ptq.weights.RawTensor;
import java.io.IOException;

/**
 * The scales of packed weights on their way into a checkpoint: in float16, which most programs hold them in, where it has
 * all those of a linear; others in float32, or rounded to float16 if that is asked for.
 */
public final class ScaleStore {
    private final boolean rounds;
    private long rounded;

    /** Makes one for a checkpoint. */
    public ScaleStore(boolean rounds) {
        this.rounds = rounds;
    }

    /**
     * Returns the tensor of a linear's scales, row-major.
     *
     * @throws IOException if one of them would be rounded to 0 or infinity
     */
    RawTensor tensor(float[] scales, long... shape) throws IOException {
        long inexact = 0;
        for (float scale : scales) {
            float half = HalfFloats.round(scale);
            inexact += half == scale ? 0 : 1;
            if (rounds && (Float.isInfinite(half) || (half == 0 && scale != 0))) {
                throw new IOException("has a scale of " + scale
                        + ", which no float16 is near; without --round-scales it is stored in float32");
            }
        }
        if (inexact > 0 && !rounds) {
            return RawTensor.of(scales, shape);
        }
        rounded += inexact;
        return RawTensor.ofHalves(scales, shape);
    }

    /** Returns how many scales have been rounded. */
    public long rounded() {
        return rounded;
    }
}
