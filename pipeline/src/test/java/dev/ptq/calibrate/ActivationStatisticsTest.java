package dev.ptq.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDManager;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.Site;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ActivationStatisticsTest {
    private static final LinearSpec FIRST = new LinearSpec(0, "m", Site.MLP_IN, 3, 2, false);

    /** Batch means of magnitudes are (2, 1) and (0.5, 5); a mean over both would be smaller. */
    @Test
    void takesTheLargestBatchMeanOfMagnitudesAndSurvivesItsFile(@TempDir Path folder) throws IOException {
        Set<Statistic> wanted = Set.of(Statistic.MAX_BATCH_MEAN_ABS);
        ActivationStatistics.Collector collector = new ActivationStatistics.Collector(wanted);
        try (NDManager manager = TensorEngine.newManager()) {
            collector.observe(
                    0, Site.MLP_IN, NativeFloats.of(manager, new float[] {1, -1, -3, 1, 2, 0, 2, -2}, 2, 2, 2));
            collector.observe(0, Site.MLP_IN, NativeFloats.of(manager, new float[] {0.5f, -5}, 1, 1, 2));
            collector.observe(1, Site.MLP_IN, NativeFloats.of(manager, new float[] {9, 9}, 1, 1, 2));
        }
        Path file = folder.resolve("statistics.safetensors");
        collector.finished().write(file);
        ActivationStatistics read = ActivationStatistics.read(file);

        assertThat(read.of(FIRST, Statistic.MAX_BATCH_MEAN_ABS)).containsExactly(2, 5);
        read.of(FIRST, Statistic.MAX_BATCH_MEAN_ABS)[0] = 7;
        assertThat(read.of(FIRST, Statistic.MAX_BATCH_MEAN_ABS)).containsExactly(2, 5);
    }

    @Test
    void namesTheLayerThatWasNotSeen() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ActivationStatistics.none().of(FIRST, Statistic.MAX_BATCH_MEAN_ABS))
                .withMessage("max_batch_mean_abs of m was not collected");
    }
}
