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

    /** Rounds one value. */
    float rounded(float value, float scale, float zeroPoint) {
        return switch (order) {
            case ROUND_THEN_SHIFT -> roundThenShift(value, scale, zeroPoint, lowest, highest);
            case SHIFT_THEN_ROUND -> shiftThenRound(value, scale, zeroPoint, lowest, highest);
            case BY_RECIPROCAL -> byReciprocal(value, scale, zeroPoint, lowest, highest);
            case FROM_MIDDLE -> fromMiddle(value, scale, zeroPoint, lowest, highest, middle());
            case OF_RECIPROCALS -> ofReciprocals(value, scale, zeroPoint, lowest, highest);
        };
    }

    /** Rounds the first {@code count} values, each with a scale and a zero point of its own. */
    void round(float[] values, float[] scales, float[] zeroPoints, int count) {
        switch (order) {
            case ROUND_THEN_SHIFT -> roundThenShift(values, scales, zeroPoints, count, lowest, highest);
            case SHIFT_THEN_ROUND -> shiftThenRound(values, scales, zeroPoints, count, lowest, highest);
            case BY_RECIPROCAL -> byReciprocal(values, scales, zeroPoints, count, lowest, highest);
            case FROM_MIDDLE -> fromMiddle(values, scales, zeroPoints, count, lowest, highest, middle());
            case OF_RECIPROCALS -> ofReciprocals(values, scales, zeroPoints, count, lowest, highest);
        }
    }

    // Clamped before they are rounded, codes are the same and small enough for the fast way to round; a zero point that
    // is added to rounded numbers is whole. Loops as in RowKernels.

    private static float whole(float number, float least, float most) {
        return (Math.min(Math.max(number, least), most) + RowKernels.WHOLE) - RowKernels.WHOLE;
    }

    private static float roundThenShift(float value, float scale, float zeroPoint, float least, float most) {
        return whole(value / scale, least - zeroPoint, most - zeroPoint) * scale;
    }

    private static void roundThenShift(
            float[] values, float[] scales, float[] zeroPoints, int count, float least, float most) {
        for (int i = 0; i < count; i++) {
            values[i] = roundThenShift(values[i], scales[i], zeroPoints[i], least, most);
        }
    }

    private static float shiftThenRound(float value, float scale, float zeroPoint, float least, float most) {
        return (whole(value / scale + zeroPoint, least, most) - zeroPoint) * scale;
    }

    private static void shiftThenRound(
            float[] values, float[] scales, float[] zeroPoints, int count, float least, float most) {
        for (int i = 0; i < count; i++) {
            values[i] = shiftThenRound(values[i], scales[i], zeroPoints[i], least, most);
        }
    }

    private static float byReciprocal(float value, float scale, float zeroPoint, float least, float most) {
        return whole(value * (1 / scale), least - zeroPoint, most - zeroPoint) * scale;
    }

    private static void byReciprocal(
            float[] values, float[] scales, float[] zeroPoints, int count, float least, float most) {
        for (int i = 0; i < count; i++) {
            values[i] = byReciprocal(values[i], scales[i], zeroPoints[i], least, most);
        }
    }

    private static float fromMiddle(float value, float scale, float zeroPoint, float least, float most, float middle) {
        float start = zeroPoint - scale * middle;
        return (whole((value - start) / scale, least, most) - middle) * scale + zeroPoint;
    }

    private static void fromMiddle(
            float[] values, float[] scales, float[] zeroPoints, int count, float least, float most, float middle) {
        for (int i = 0; i < count; i++) {
            values[i] = fromMiddle(values[i], scales[i], zeroPoints[i], least, most, middle);
        }
    }

    private static float ofReciprocals(float value, float scale, float zeroPoint, float least, float most) {
        return (whole(value * scale + zeroPoint, least, most) - zeroPoint) * (1 / scale);
    }

    private static void ofReciprocals(
            float[] values, float[] scales, float[] zeroPoints, int count, float least, float most) {
        for (int i = 0; i < count; i++) {
            values[i] = ofReciprocals(values[i], scales[i], zeroPoints[i], least, most);
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
