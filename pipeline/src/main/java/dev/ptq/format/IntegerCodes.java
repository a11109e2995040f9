package dev.ptq.format;

/**
 * Codes of integers with a scale and a zero point: rounding to their values, in float32 with every operation in the
 * order of {@link Order}.
 *
 * @param bits of a stored code
 * @param lowest the lowest code; negative ones are stored in two's complement
 * @param highest the highest
 */
record IntegerCodes(int bits, int lowest, int highest, Order order) {
    /** The order of operations. The code is {@code q}, the scale {@code s}, the zero point {@code z}. */
    enum Order {
        /** {@code q = clamp(rint(x / s) + z)}, value {@code (q - z) s}. */
        ROUND_THEN_SHIFT,
        /** {@code q = rint(clamp(x / s + z))}, value {@code (q - z) s}. */
        SHIFT_THEN_ROUND,
        /** {@code q = clamp(rint(x (1 / s)) + z)}, value {@code (q - z) s}. */
        BY_RECIPROCAL,
        /**
         * {@code q = clamp(rint((x - (z - s m)) / s))}, value {@code (q - m) s + z}, where {@code m} is the middle code
         * and {@code z} its value.
         */
        FROM_MIDDLE,
        /** {@code q = clamp(rint(x s + z))}, value {@code (q - z) (1 / s)}: {@code s} is the reciprocal of the scale. */
        OF_RECIPROCALS
    }

    private int middle() {
        return (highest + lowest + 1) / 2;
    }

    /** Rounds values that share a scale. */
    void round(float[] values, int from, int to, float scale, float zeroPoint) {
        switch (order) {
            case ROUND_THEN_SHIFT -> {
                for (int i = from; i < to; i++) {
                    float code = clamped((float) Math.rint(values[i] / scale) + zeroPoint);
                    values[i] = (code - zeroPoint) * scale;
                }
            }
            case SHIFT_THEN_ROUND -> {
                for (int i = from; i < to; i++) {
                    // adding 0 leaves no negative zero, which has no code
                    float code = (float) Math.rint(clamped(values[i] / scale + zeroPoint)) + 0f;
                    values[i] = (code - zeroPoint) * scale;
                }
            }
            case BY_RECIPROCAL -> {
                float reciprocal = 1 / scale;
                for (int i = from; i < to; i++) {
                    float code = clamped((float) Math.rint(values[i] * reciprocal) + zeroPoint);
                    values[i] = (code - zeroPoint) * scale;
                }
            }
            case FROM_MIDDLE -> {
                float least = zeroPoint - scale * middle();
                for (int i = from; i < to; i++) {
                    float code = clamped((float) Math.rint((values[i] - least) / scale));
                    values[i] = value(code, scale, zeroPoint);
                }
            }
            case OF_RECIPROCALS -> {
                float factor = 1 / scale;
                for (int i = from; i < to; i++) {
                    float code = clamped((float) Math.rint(values[i] * scale + zeroPoint));
                    values[i] = (code - zeroPoint) * factor;
                }
            }
        }
    }

    private float clamped(float code) {
        return Math.min(Math.max(code, lowest), highest);
    }

    /** Returns what codes are multiplied by. */
    float factor(float scale) {
        return order == Order.OF_RECIPROCALS ? 1 / scale : scale;
    }

    /** Returns the value of a code, a whole number. */
    float value(float code, float scale, float zeroPoint) {
        return order == Order.FROM_MIDDLE ? (code - middle()) * scale + zeroPoint : (code - zeroPoint) * factor(scale);
    }

    /** Returns the code of a rounded value; any code if it has none. */
    int code(float rounded, float scale, float zeroPoint) {
        float code = switch (order) {
            case FROM_MIDDLE -> (float) Math.rint((rounded - zeroPoint) / scale) + middle();
            case OF_RECIPROCALS -> (float) Math.rint(rounded * scale + zeroPoint);
            default -> (float) Math.rint(rounded / scale) + zeroPoint;
        };
        return (int) clamped(code);
    }
}
