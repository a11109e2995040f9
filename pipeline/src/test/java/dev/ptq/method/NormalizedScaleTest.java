package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.tensor.Shared;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The metric that L2QER makes of a statistic. */
class NormalizedScaleTest {
    @Test
    void raisesSmallValuesAndDividesByTheMiddle() {
        float[] scale = LowRankCorrection.normalized(new float[] {0, 1e-4f, 0.01f, 1});

        assertThat(scale).containsExactly(new float[] {0.01f, 0.01f, 1, 100}, within(1e-5f));
    }

    @Test
    void equalsTheReferenceOfEveryLinear() throws IOException {
        Optional<Path> file = Shared.find("golden/e2e_scales.safetensors");
        assumeTrue(file.isPresent());
        int compared = 0;
        try (Safetensors tensors = Safetensors.open(file.get())) {
            for (String name : tensors.entries().keySet()) {
                if (name.startsWith("raw/")) {
                    float[] expected = tensors.floats(name.substring(4));
                    float[] scale = LowRankCorrection.normalized(tensors.floats(name));
                    for (int i = 0; i < scale.length; i++) {
                        assertThat(scale[i]).as(name).isCloseTo(expected[i], within(1e-6f * expected[i]));
                    }
                    compared++;
                }
            }
        }
        assertThat(compared).isEqualTo(36);
    }
}
