package dev.ptq.tensor;

import java.nio.ByteBuffer;
import java.nio.ShortBuffer;
import java.util.Optional;

/** The data types of a safetensors file that can be read as float32, or as int32. */
public enum StoredType {
    F32(4),
    F16(2),
    BF16(2),
    I32(4);

    private final int bytes;

    StoredType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of one value. */
    public int bytes() {
        return bytes;
    }

    static Optional<StoredType> named(String name) {
        for (StoredType type : values()) {
            if (type.name().equals(name)) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }

    /** Converts {@code count} little-endian values from {@code source}, at value {@code from}, into {@code target}. */
    void toFloats(ByteBuffer source, int from, float[] target, int count) {
        switch (this) {
            case F32 -> source.asFloatBuffer().get(from, target, 0, count);
            case BF16 -> {
                ShortBuffer shorts = source.asShortBuffer();
                short[] raw = new short[count];
                shorts.get(from, raw);
                for (int i = 0; i < count; i++) {
                    target[i] = Float.intBitsToFloat(raw[i] << 16);
                }
            }
            case F16 -> {
                short[] raw = new short[count];
                source.asShortBuffer().get(from, raw);
                for (int i = 0; i < count; i++) {
                    target[i] = halfToFloat(raw[i]);
                }
            }
            case I32 -> {
                for (int i = 0; i < count; i++) {
                    target[i] = source.getInt((from + i) * 4);
                }
            }
        }
    }

    /** IEEE 754 binary16 to binary32; exact. Java 17 has no such conversion. */
    static float halfToFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = (half >>> 10) & 0x1f;
        int mantissa = half & 0x3ff;
        if (exponent == 0) {
            float magnitude = mantissa * 0x1p-24f;
            return sign == 0 ? magnitude : -magnitude;
        }
        int bits = exponent == 31 ? 0x7f800000 : (exponent + 112) << 23;
        return Float.intBitsToFloat(sign | bits | (mantissa << 13));
    }
}
