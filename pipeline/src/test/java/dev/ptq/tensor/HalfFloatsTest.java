package dev.ptq.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class HalfFloatsTest {
    @Test
    void everyNumberIsItself() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = HalfFloats.toFloat((short) bits);
            if (Float.isNaN(value)) {
                assertThat(HalfFloats.round(value)).isNaN();
            } else {
                assertThat(HalfFloats.of(value)).isEqualTo((short) bits);
            }
        }
    }

    @Test
    void othersBecomeTheNearerAndHalvesTheEvenOne() {
        for (int bits = 0; bits < 0x7bff; bits++) {
            float low = HalfFloats.toFloat((short) bits);
            float high = HalfFloats.toFloat((short) (bits + 1));
            float middle = low + (high - low) / 2;
            assertThat(HalfFloats.of(middle)).isEqualTo((short) (bits + bits % 2));
            assertThat(HalfFloats.of(Math.nextDown(middle))).isEqualTo((short) bits);
            assertThat(HalfFloats.of(Math.nextUp(middle))).isEqualTo((short) (bits + 1));
            assertThat(HalfFloats.round(-Math.nextUp(middle))).isEqualTo(-high);
        }
    }

    @Test
    void thoseBeyondAllAreInfinite() {
        assertThat(HalfFloats.round(Math.nextDown(65520f))).isEqualTo(65504f);
        assertThat(HalfFloats.round(65520f)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(HalfFloats.round(-Float.MAX_VALUE)).isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(HalfFloats.of(-0f)).isEqualTo((short) 0x8000);
    }
}
