package dev.ptq.weights;

import dev.ptq.tensor.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.Optional;

/** The known data types of safetensors files. Those after I32 are for {@link RawTensor}, not for weights. */
public enum StoredType {
    F32(4),
    F16(2),
    BF16(2),
    I32(4),
    U8(1),
    I8(1),
    F8_E4M3(1),
    I64(8);

    private final int bytes;

    StoredType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of one value. */
    public int bytes() {
        return bytes;
    }

    /** Returns whether values are read as float32: bytes and indices among weights are more likely a mistake. */
    boolean readsAsFloat() {
        return this == I32 || isFloat();
    }

    /** Returns whether values are floating point numbers of at least 16 bits, as weights are that nobody packed. */
    public boolean isFloat() {
        return this == F32 || this == F16 || this == BF16;
    }

    /** Returns whether float32 can be written as this type. */
    boolean writable() {
        return this == F32 || this == BF16;
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
                    target[i] = HalfFloats.toFloat(raw[i]);
                }
            }
            case I32 -> {
                for (int i = 0; i < count; i++) {
                    target[i] = source.getInt((from + i) * 4);
                }
            }
            case U8, I8, F8_E4M3, I64 -> throw new UnsupportedOperationException(this + " is not read as float32");
        }
    }

    /** Writes all of {@code source} to the start of a little-endian {@code target}, rounded half to even. */
    void fromFloats(FloatBuffer source, ByteBuffer target) {
        switch (this) {
            case F32 -> target.asFloatBuffer().put(source);
            case BF16 -> {
                int count = source.remaining();
                float[] values = new float[count];
                source.get(values);
                short[] raw = new short[count];
                for (int i = 0; i < count; i++) {
                    raw[i] = floatToBfloat16(values[i]);
                }
                target.asShortBuffer().put(raw);
            }
            case F16, I32, U8, I8, F8_E4M3, I64 ->
                throw new UnsupportedOperationException("nothing is written as " + this);
        }
    }

    /**
     * The upper half of a binary32, rounded half to even as in IEEE 754: values too large become infinite. A NaN stays
     * one, with its sign.
     */
    static short floatToBfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            // a payload in the lower half alone would leave an infinity
            return (short) (bits >>> 16 | 0x40);
        }
        int odd = bits >>> 16 & 1;
        return (short) ((bits + 0x7fff + odd) >>> 16);
    }
}
