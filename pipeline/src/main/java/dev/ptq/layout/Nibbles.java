package dev.ptq.layout;

import java.nio.ByteBuffer;

/** Codes of 4 bits, two in a byte. */
enum Nibbles {
    /** The first in the low half. */
    LOW_FIRST,
    /** The first in the high half. */
    HIGH_FIRST;

    /** Returns the codes of all bytes. */
    byte[] unpack(ByteBuffer packed) {
        byte[] codes = new byte[Math.multiplyExact(2, packed.remaining())];
        for (int i = 0; i < codes.length; i++) {
            int both = packed.get(packed.position() + i / 2);
            codes[i] = (byte) ((both >>> (isHigh(i) ? 4 : 0)) & 0xf);
        }
        return codes;
    }

    /** Returns the bytes for codes; where their number is odd, the last half is 0. */
    ByteBuffer pack(byte[] codes) {
        ByteBuffer packed = ByteBuffer.allocate((codes.length + 1) / 2);
        for (int i = 0; i < codes.length; i++) {
            packed.put(i / 2, (byte) (packed.get(i / 2) | ((codes[i] & 0xf) << (isHigh(i) ? 4 : 0))));
        }
        return packed;
    }

    private boolean isHigh(int value) {
        return (value % 2 == 1) == (this == LOW_FIRST);
    }
}
