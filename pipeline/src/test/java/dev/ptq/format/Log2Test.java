package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.tensor.Shared;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class Log2Test {
    @Test
    void agreesWithTorchNearEveryPowerOfTwo() throws IOException {
        try (Safetensors mappings = Safetensors.open(Shared.golden("log2_edges.safetensors"))) {
            float[] x = mappings.floats("x");
            float[] ceil = mappings.floats("ceil_log2");
            float[] floor = mappings.floats("floor_log2");
            for (int i = 0; i < x.length; i++) {
                int bits = Float.floatToRawIntBits(x[i]);
                assertThat(Log2.ceil(bits)).as("ceil log2 %s", x[i]).isEqualTo((int) ceil[i]);
                assertThat(Log2.floor(bits)).as("floor log2 %s", x[i]).isEqualTo((int) floor[i]);
            }
            assertThat(x.length).isGreaterThan(1000);
        }
    }

    @Test
    void reachesFromTheSmallestSubnormalToTheLargestNumber() {
        assertThat(Log2.ceil(1)).isEqualTo(-149);
        assertThat(Log2.floor(1)).isEqualTo(-149);
        assertThat(Log2.ceil(3)).isEqualTo(-147);
        assertThat(Log2.floor(3)).isEqualTo(-148);
        assertThat(Log2.ceil(Float.floatToRawIntBits(Float.MAX_VALUE))).isEqualTo(128);
    }
}
