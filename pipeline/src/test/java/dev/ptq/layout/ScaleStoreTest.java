package dev.ptq.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScaleStoreTest {
    private static final float THIRD = 1 / 3f;

    @Test
    void whatFloat16HasIsStoredSo() throws IOException {
        ScaleStore store = new ScaleStore(false);
        RawTensor tensor = store.tensor(new float[] {0.5f, 0, -0x1p-24f, 65504}, 2, 2);

        assertThat(tensor.type()).isEqualTo(StoredType.F16);
        assertThat(tensor.shape()).containsExactly(2L, 2L);
        assertThat(store.tensor(new float[] {0.5f, THIRD}, 2).type()).isEqualTo(StoredType.F32);
        assertThat(store.rounded()).isZero();
    }

    @Test
    void roundsIfAskedToAndCounts() throws IOException {
        ScaleStore store = new ScaleStore(true);

        assertThat(store.tensor(new float[] {0.5f, THIRD, 0.1f}, 3).type()).isEqualTo(StoredType.F16);
        assertThat(store.rounded()).isEqualTo(2);
    }

    /** A scale of 0 would make all values of a group 0, and an infinite one NaN. */
    @ParameterizedTest
    @ValueSource(floats = {0x1p-26f, 1e-30f, -1e-30f, 65520, 1e30f})
    void neverRoundsAScaleToNothing(float scale) {
        assertThatThrownBy(() -> new ScaleStore(true).tensor(new float[] {1, scale}, 2))
                .isInstanceOf(IOException.class)
                .hasMessage("has a scale of " + scale
                        + ", which no float16 is near; without --round-scales it is stored in float32");
    }
}
