package dev.ptq.format;

import dev.ptq.format.IntegerGrid.Mapping;

/** One group of integers by the rules of a tool, formula by formula, rounded to float32 after every operation. */
record ScalarGrids(int bits, IntegerGrid grid, Mapping mapping) {
    private float levels() {
        return (1 << bits) - 1;
    }

    private float half() {
        return 1 << (bits - 1);
    }

    /** The values of a group that is rounded with the range of {@code range}. */
    float[] rounded(float[] values, float shrink) {
        float min = Float.POSITIVE_INFINITY;
        float max = Float.NEGATIVE_INFINITY;
        for (float value : values) {
            min = Math.min(min, value);
            max = Math.max(max, value);
        }
        return rounded(values, min * shrink, max * shrink);
    }

    private float[] rounded(float[] values, float min, float max) {
        float[] rounded = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            rounded[i] = switch (grid) {
                case GPTQ -> gptq(values[i], min, max);
                case COMPRESSED_TENSORS -> compressedTensors(values[i], min, max);
                case FULL_RANGE -> fullRange(values[i], min, max);
                case TORCHAO ->
                    mapping == Mapping.ASYMMETRIC_FLOAT ? tinygemm(values[i], min, max) : torchao(values[i], min, max);
                case NARROW -> throw new AssertionError();
            };
        }
        return rounded;
    }

    /** Codes are all from 0 here. */
    private float gptq(float x, float min, float max) {
        float lo = Math.min(min, 0);
        float hi = Math.max(max, 0);
        if (mapping == Mapping.SYMMETRIC) {
            hi = Math.max(Math.abs(lo), hi);
            lo = lo < 0 ? -hi : lo;
        }
        if (lo == 0 && hi == 0) {
            lo = -1;
            hi = 1;
        }
        float s = (hi - lo) / levels();
        float z = mapping == Mapping.SYMMETRIC ? half() : rint(-lo / s);
        float q = clamp(rint(x / s) + z, 0, levels());
        return s * (q - z);
    }

    private float compressedTensors(float x, float min, float max) {
        float lo = Math.min(min, 0);
        float hi = Math.max(max, 0);
        float s;
        float z = 0;
        if (mapping == Mapping.SYMMETRIC) {
            s = Math.max(Math.abs(lo), Math.abs(hi)) / (levels() / 2);
        } else {
            s = (hi - lo) / levels();
            z = rint(clamp(-half() - lo / s, -half(), half() - 1));
            z = lo == 0 && hi == 0 ? 0 : z;
        }
        if (s == 0) {
            s = (float) Math.pow(2, -23);
        }
        float q = rint(clamp(x / s + z, -half(), half() - 1));
        return (q - z) * s;
    }

    private float fullRange(float x, float min, float max) {
        float low = Math.abs(Math.min(min, 0));
        float high = Math.max(max, 0);
        if (mapping == Mapping.SYMMETRIC) {
            float s = (high < low ? 1 : -1) * Math.max(low, high) / half();
            s = s < 0 ? Math.min(s, -1e-5f) : Math.max(s, 1e-5f);
            return clamp(rint(x / s), -half(), half() - 1) * s;
        }
        float s = Math.max((high + low) / levels(), 1e-5f);
        float z = rint(low / s);
        return (clamp(rint(x / s) + z, 0, levels()) - z) * s;
    }

    private float torchao(float x, float min, float max) {
        float lo = Math.min(min, 0);
        float hi = Math.max(max, 0);
        float qmin = -half();
        float qmax = half() - 1;
        float s = switch (mapping) {
            case SYMMETRIC -> Math.max(-lo, hi) / ((qmax - qmin) / 2);
            case SYMMETRIC_NO_CLIPPING_ERR -> Math.max(lo / qmin, hi / qmax);
            case ASYMMETRIC -> (hi - lo) / (qmax - qmin);
            default -> (max - min) / (qmax - qmin);
        };
        s = Math.max(s, (float) Math.pow(2, -126));
        float z = switch (mapping) {
            case ASYMMETRIC -> clamp(qmin - rint(lo / s), qmin, qmax);
            case ASYMMETRIC_NO_ZERO -> clamp(qmin - rint(min / s), qmin, qmax);
            default -> 0;
        };
        float q = clamp(rint(x * (1 / s)) + z, qmin, qmax);
        return (q - z) * s;
    }

    private float tinygemm(float x, float min, float max) {
        float s = Math.max((max - min) / levels(), (float) Math.pow(2, -126));
        float zero = min + s * half();
        float q = clamp(rint((x - (zero - s * half())) / s), 0, levels());
        return (q - half()) * s + zero;
    }

    private static float rint(float value) {
        return (float) Math.rint(value);
    }

    private static float clamp(float value, float least, float most) {
        return Math.min(Math.max(value, least), most);
    }
}
