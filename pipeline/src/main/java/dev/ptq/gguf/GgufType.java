package dev.ptq.gguf;

import dev.ptq.tensor.HalfFloats;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The types of tensors that are read: values in blocks along the rows, each block with its own scales. Every value is
 * computed in float32 with the roundings of the format's own programs, so that they are equal to the last bit.
 */
public enum GgufType {
    F32(0, 32, 1, 4) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            target[to] = source.getFloat(at);
        }
    },
    F16(1, 16, 1, 2) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            target[to] = half(source, at);
        }
    },
    BF16(30, 16, 1, 2) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            target[to] = Float.intBitsToFloat(source.getShort(at) << 16);
        }
    },
    /** {@code d·(q - 8)}. */
    Q4_0(2, 4, 32, 18) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            for (int i = 0; i < 32; i++) {
                target[to + i] = scale * (halfByte(source, at + 2, i) - 8);
            }
        }
    },
    /** {@code d·q + m}. */
    Q4_1(3, 4, 32, 20) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            float least = half(source, at + 2);
            for (int i = 0; i < 32; i++) {
                target[to + i] = scale * halfByte(source, at + 4, i) + least;
            }
        }
    },
    /** As {@link #Q4_0}, with the fifth bits of the codes in a word of their own. */
    Q5_0(6, 5, 32, 22) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            int high = source.getInt(at + 2);
            for (int i = 0; i < 32; i++) {
                target[to + i] = scale * ((halfByte(source, at + 6, i) | (((high >>> i) & 1) << 4)) - 16);
            }
        }
    },
    /** As {@link #Q4_1}, with the fifth bits of the codes in a word of their own. */
    Q5_1(7, 5, 32, 24) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            float least = half(source, at + 2);
            int high = source.getInt(at + 4);
            for (int i = 0; i < 32; i++) {
                target[to + i] = scale * (halfByte(source, at + 8, i) | (((high >>> i) & 1) << 4)) + least;
            }
        }
    },
    /** {@code d·q}, the codes signed bytes. */
    Q8_0(8, 8, 32, 34) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            for (int i = 0; i < 32; i++) {
                target[to + i] = scale * source.get(at + 2 + i);
            }
        }
    },
    /** {@code (d·s)·q - m·t}, with a pair of 4-bit numbers s, t for every 16 values. */
    Q2_K(10, 2, 256, 84) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at + 80);
            float least = half(source, at + 82);
            for (int i = 0; i < 256; i++) {
                int pair = unsigned(source, at + i / 16);
                int code = bits(source, at + 16 + i / 128 * 32 + i % 32, 2 * (i / 32 % 4), 3);
                target[to + i] = scale * (pair & 15) * code - least * (pair >>> 4);
            }
        }
    },
    /** {@code (d·(s - 32))·q}, with a 6-bit number s for every 16 values, and signed codes of three bits. */
    Q3_K(11, 3, 256, 110) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at + 108);
            for (int part = 0; part < 16; part++) {
                int low = bits(source, at + 96 + part % 8, 4 * (part / 8), 15);
                int high = bits(source, at + 104 + part % 4, 2 * (part / 4), 3);
                float own = scale * ((low | (high << 4)) - 32);
                for (int i = part * 16; i < part * 16 + 16; i++) {
                    int bits = bits(source, at + 32 + i / 128 * 32 + i % 32, 2 * (i / 32 % 4), 3);
                    // the third bit says that nothing is taken away
                    int kept = bits(source, at + i % 32, i / 32, 1);
                    target[to + i] = own * (bits - 4 + 4 * kept);
                }
            }
        }
    },
    /** {@code (d·s)·q - m·t}, with a pair of 6-bit numbers s, t for every 32 values. */
    Q4_K(12, 4, 256, 144) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            float least = half(source, at + 2);
            for (int part = 0; part < 8; part++) {
                float own = scale * scaleOf(source, at + 4, part);
                float offset = least * leastOf(source, at + 4, part);
                for (int i = 0; i < 32; i++) {
                    int code = bits(source, at + 16 + part / 2 * 32 + i, 4 * (part % 2), 15);
                    target[to + part * 32 + i] = own * code - offset;
                }
            }
        }
    },
    /** As {@link #Q4_K}, with the fifth bits of the codes in bytes of their own. */
    Q5_K(13, 5, 256, 176) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at);
            float least = half(source, at + 2);
            for (int part = 0; part < 8; part++) {
                float own = scale * scaleOf(source, at + 4, part);
                float offset = least * leastOf(source, at + 4, part);
                for (int i = 0; i < 32; i++) {
                    int low = bits(source, at + 48 + part / 2 * 32 + i, 4 * (part % 2), 15);
                    int high = bits(source, at + 16 + i, part, 1);
                    target[to + part * 32 + i] = own * (low | (high << 4)) - offset;
                }
            }
        }
    },
    /** {@code (d·s)·(q - 32)}, with a signed byte s for every 16 values. */
    Q6_K(14, 6, 256, 210) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = half(source, at + 208);
            for (int i = 0; i < 256; i++) {
                int half = i / 128;
                int quarter = i / 32 % 4;
                int low = bits(source, at + 64 * half + 32 * (quarter % 2) + i % 32, 4 * (quarter / 2), 15);
                int high = bits(source, at + 128 + 32 * half + i % 32, 2 * quarter, 3);
                target[to + i] = scale * source.get(at + 192 + i / 16) * ((low | (high << 4)) - 32);
            }
        }
    },
    /** A power of two for every 32 values of E2M1, whose table is doubled and the exponent one less. */
    MXFP4(39, 4, 32, 17) {
        @Override
        void block(ByteBuffer source, int at, float[] target, int to) {
            float scale = Math.scalb(1f, unsigned(source, at) - 128);
            for (int i = 0; i < 32; i++) {
                int code = halfByte(source, at + 1, i);
                target[to + i] = scale * (code < 8 ? E2M1_DOUBLED[code] : -E2M1_DOUBLED[code - 8]);
            }
        }
    };

    private static final int[] E2M1_DOUBLED = {0, 1, 2, 3, 4, 6, 8, 12};

    /** Other types that files have, for messages. */
    private static final Map<Integer, String> NOT_READ = Map.ofEntries(
            Map.entry(4, "Q4_2"),
            Map.entry(5, "Q4_3"),
            Map.entry(9, "Q8_1"),
            Map.entry(15, "Q8_K"),
            Map.entry(16, "IQ2_XXS"),
            Map.entry(17, "IQ2_XS"),
            Map.entry(18, "IQ3_XXS"),
            Map.entry(19, "IQ1_S"),
            Map.entry(20, "IQ4_NL"),
            Map.entry(21, "IQ3_S"),
            Map.entry(22, "IQ2_S"),
            Map.entry(23, "IQ4_XS"),
            Map.entry(24, "I8"),
            Map.entry(25, "I16"),
            Map.entry(26, "I32"),
            Map.entry(27, "I64"),
            Map.entry(28, "F64"),
            Map.entry(29, "IQ1_M"),
            Map.entry(31, "Q4_0_4_4"),
            Map.entry(32, "Q4_0_4_8"),
            Map.entry(33, "Q4_0_8_8"),
            Map.entry(34, "TQ1_0"),
            Map.entry(35, "TQ2_0"),
            Map.entry(40, "NVFP4"));

    private final int id;
    private final int valueBits;
    private final int blockValues;
    private final int blockBytes;

    GgufType(int id, int valueBits, int blockValues, int blockBytes) {
        this.id = id;
        this.valueBits = valueBits;
        this.blockValues = blockValues;
        this.blockBytes = blockBytes;
    }

    /** The type of a number in a file. */
    static Optional<GgufType> of(long id) {
        return Arrays.stream(values()).filter(type -> type.id == id).findFirst();
    }

    /** What a number in a file is called. */
    static String name(long id) {
        return of(id).map(GgufType::name)
                .orElseGet(() -> NOT_READ.getOrDefault((int) id, "of the unknown number " + id));
    }

    /** The names of all types, for messages. */
    static List<String> names() {
        return Arrays.stream(values()).map(GgufType::name).toList();
    }

    /** Bits of a value, without what those of a block share. */
    public int valueBits() {
        return valueBits;
    }

    /** Values of a block. */
    public int blockValues() {
        return blockValues;
    }

    /** Bytes of a block. */
    public int blockBytes() {
        return blockBytes;
    }

    /** Whether values are codes, not floating-point numbers. */
    public boolean isPacked() {
        return this != F32 && this != F16 && this != BF16;
    }

    /** Bytes of values that are a multiple of {@link #blockValues}. */
    public long bytes(long values) {
        return values / blockValues * blockBytes;
    }

    /**
     * Computes values.
     *
     * @param source little-endian, from a block's first byte on
     * @param at that byte
     * @param count of values, a multiple of {@link #blockValues}
     */
    public void toFloats(ByteBuffer source, int at, float[] target, int to, int count) {
        for (int block = 0; block < count / blockValues; block++) {
            block(source, at + block * blockBytes, target, to + block * blockValues);
        }
    }

    abstract void block(ByteBuffer source, int at, float[] target, int to);

    private static float half(ByteBuffer source, int at) {
        return HalfFloats.toFloat(source.getShort(at));
    }

    private static int unsigned(ByteBuffer source, int at) {
        return source.get(at) & 0xff;
    }

    private static int bits(ByteBuffer source, int at, int shift, int mask) {
        return (unsigned(source, at) >>> shift) & mask;
    }

    /** Value {@code i} of 32: the lower half bytes first. */
    private static int halfByte(ByteBuffer source, int at, int i) {
        return bits(source, at + i % 16, 4 * (i / 16), 15);
    }

    /** Of eight pairs of 6-bit numbers in twelve bytes, the first number. */
    private static int scaleOf(ByteBuffer source, int at, int part) {
        return part < 4
                ? unsigned(source, at + part) & 63
                : bits(source, at + part + 4, 0, 15) | (bits(source, at + part - 4, 6, 3) << 4);
    }

    /** The second number of such a pair. */
    private static int leastOf(ByteBuffer source, int at, int part) {
        return part < 4
                ? unsigned(source, at + part + 4) & 63
                : bits(source, at + part + 4, 4, 15) | (bits(source, at + part, 6, 3) << 4);
    }
}
