package dev.ptq.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.HookPoint;
import dev.ptq.model.InputSpec;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ActivationStatisticsTest {
    private static final LinearSpec FIRST = new LinearSpec(0, "m", "m", HookPoint.MLP_IN, 3, 2, false);
    private static final LinearSpec TWIN = new LinearSpec(0, "n", "n", HookPoint.MLP_IN, 5, 2, false);
    private static final LinearSpec SECOND = new LinearSpec(1, "o", "o", HookPoint.MLP_IN, 3, 2, false);
    private static final List<LinearSpec> LINEARS = List.of(FIRST, TWIN, SECOND);
    private static final List<InputSpec> INPUTS = List.of(FIRST.input(), SECOND.input());
    private static final Set<Statistic> ALL = EnumSet.complementOf(EnumSet.of(Statistic.TOKENS));
    private static final WantedStatistics EVERY = WantedStatistics.ofEvery(ALL);

    private final NDManager manager = TensorEngine.newManager();

    @TempDir
    private Path folder;

    private Path file;

    @BeforeEach
    void name() {
        file = folder.resolve("statistics.safetensors");
    }

    @AfterEach
    void close() {
        manager.close();
    }

    private void observeFirst(ActivationObserver observer) {
        observer.observe(
                0, HookPoint.MLP_IN, NativeFloats.of(manager, new float[] {1, -1, -3, 1, 2, 0, 2, -2}, 2, 2, 2));
        observer.observe(0, HookPoint.MLP_IN, NativeFloats.of(manager, new float[] {0.5f, -5}, 1, 1, 2));
    }

    private void observeSecond(ActivationObserver observer) {
        observer.observe(1, HookPoint.MLP_IN, NativeFloats.of(manager, new float[] {9, -9}, 1, 1, 2));
    }

    /** Batch means of magnitudes are (2, 1) and (0.5, 5); a mean over both would be smaller. */
    @Test
    void takesTheLargestBatchMeanOfMagnitudesAndSurvivesItsFile() throws IOException {
        try (StatisticsFile statistics = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            observeFirst(statistics);
            observeSecond(statistics);
            statistics.finish();
        }
        ActivationStatistics read = ActivationStatistics.read(file);

        assertThat(read.of(FIRST, Statistic.MAX_BATCH_MEAN_ABS)).containsExactly(2, 5);
        read.of(FIRST, Statistic.MAX_BATCH_MEAN_ABS)[0] = 7;
        assertThat(read.of(TWIN, Statistic.MAX_BATCH_MEAN_ABS)).containsExactly(2, 5);
    }

    @Test
    void theFileHoldsWhatIsGatheredInMemory() throws IOException {
        ActivationStatistics kept;
        try (ActivationStatistics.Collector collector = new ActivationStatistics.Collector(EVERY, 2)) {
            observeFirst(collector);
            observeSecond(collector);
            kept = collector.finished();
        }
        try (StatisticsFile statistics = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            observeFirst(statistics);
            observeSecond(statistics);
            statistics.finish();
        }
        assertSame(ActivationStatistics.read(file), kept);
        assertThat(kept.matrix(manager, SECOND, Statistic.HESSIAN).toFloatArray())
                .containsExactly(81, -81, -81, 81);
        try (Safetensors tensors = Safetensors.open(file)) {
            assertThat(tensors.entries().keySet())
                    .hasSize(2 * ALL.size())
                    .contains("blocks.0.mlp_in.second_moment", "blocks.1.mlp_in.hessian");
            assertThat(tensors.shape("blocks.1.mlp_in.hessian")).containsExactly(2L, 2L);
        }
    }

    private void assertSame(ActivationStatistics found, ActivationStatistics expected) throws IOException {
        for (LinearSpec linear : LINEARS) {
            for (Statistic statistic : ALL) {
                if (statistic.isMatrix()) {
                    assertThat(found.matrix(manager, linear, statistic).toFloatArray())
                            .as("%s of %s", statistic, linear)
                            .isEqualTo(
                                    expected.matrix(manager, linear, statistic).toFloatArray());
                } else if (statistic == Statistic.HISTOGRAM) {
                    ValueCounts counts = found.valueCounts(linear.block(), linear.hookPoint());
                    ValueCounts same = expected.valueCounts(linear.block(), linear.hookPoint());
                    assertThat(counts.values()).isNotEmpty().isEqualTo(same.values());
                    assertThat(counts.counts()).isEqualTo(same.counts());
                } else {
                    assertThat(found.of(linear, statistic))
                            .as("%s of %s", statistic, linear)
                            .isEqualTo(expected.of(linear, statistic));
                }
            }
        }
    }

    /** A process that is killed after the first block leaves its statistics, and half of the second's do no harm. */
    @Test
    void anotherProcessGoesOnAfterTheBlocksThatAreDone() throws IOException {
        Map<String, float[]> saved;
        try (StatisticsFile killed = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            observeFirst(killed);
            saved = killed.save();
            observeFirst((block, hookPoint, input) -> killed.observe(1, hookPoint, input));
        }
        try (StatisticsFile next = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            next.restore(saved);
            observeSecond(next);
            next.finish();
        }
        ActivationStatistics found = ActivationStatistics.read(file);
        Path straight = folder.resolve("straight.safetensors");
        try (StatisticsFile whole = new StatisticsFile(straight, INPUTS, EVERY, 2)) {
            observeFirst(whole);
            observeSecond(whole);
            whole.finish();
        }
        assertSame(found, ActivationStatistics.read(straight));
        assertThat(file).hasSameBinaryContentAs(straight);
    }

    @Test
    void doesNotGoOnWithoutTheStatisticsOfTheBlocksThatAreDone() throws IOException {
        Map<String, float[]> saved;
        try (StatisticsFile killed = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            observeFirst(killed);
            saved = killed.save();
        }
        byte[] whole = Files.readAllBytes(file);
        for (byte[] broken : List.of(new byte[0], java.util.Arrays.copyOf(whole, whole.length - 1), new byte[999])) {
            Files.write(file, broken);
            try (StatisticsFile next = new StatisticsFile(file, INPUTS, EVERY, 2)) {
                assertThatThrownBy(() -> next.restore(saved))
                        .isInstanceOf(IOException.class)
                        .hasMessage(file + ": the statistics of the blocks that were done are gone");
                observeFirst(next);
                observeSecond(next);
                next.finish();
            }
            assertThat(ActivationStatistics.read(file).of(FIRST, Statistic.ABS_MAX))
                    .containsExactly(3, 5);
        }
    }

    @Test
    void aPassThatMissedABlockOrSawOneTwiceIsADefect() throws IOException {
        try (StatisticsFile statistics = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            observeFirst(statistics);
            assertThatThrownBy(statistics::finish)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("blocks.1.mlp_in.max_batch_mean_abs was not seen");
            observeSecond(statistics);
            observeFirst(statistics);
            assertThatThrownBy(statistics::finish)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("blocks.0.mlp_in.max_batch_mean_abs was seen to its end before");
        }
    }

    @Test
    void namesTheLayerThatWasNotSeen() throws IOException {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ActivationStatistics.none().of(FIRST, Statistic.MAX_BATCH_MEAN_ABS))
                .withMessage("blocks.0.mlp_in.max_batch_mean_abs was not collected");
        try (StatisticsFile statistics = new StatisticsFile(
                file, List.of(FIRST.input()), WantedStatistics.ofEvery(EnumSet.of(Statistic.ABS_MAX)), 2)) {
            observeFirst(statistics);
            statistics.finish();
        }
        ActivationStatistics read = ActivationStatistics.read(file);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> read.matrix(manager, FIRST, Statistic.HESSIAN))
                .withMessage("blocks.0.mlp_in.hessian was not collected");
    }

    @Test
    void matricesAreOfTheInputsOfSomeLinearsAlone() throws IOException {
        WantedStatistics wanted = WantedStatistics.of(ALL, LINEARS, TWIN::equals);
        try (StatisticsFile statistics = new StatisticsFile(file, INPUTS, wanted, 2)) {
            observeFirst(statistics);
            observeSecond(statistics);
            statistics.finish();
        }
        ActivationStatistics read = ActivationStatistics.read(file);

        // the first linear and its twin have the same input
        assertThat(read.matrix(manager, FIRST, Statistic.HESSIAN).getShape()).isEqualTo(new Shape(2, 2));
        assertThat(read.of(SECOND, Statistic.MAX)).containsExactly(9, -9);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> read.matrix(manager, SECOND, Statistic.HESSIAN))
                .withMessage("blocks.1.mlp_in.hessian was not collected");
        assertThat(WantedStatistics.of(ALL, LINEARS, linear -> true)).isEqualTo(EVERY);
        Set<Statistic> vectors = EnumSet.of(Statistic.MAX);
        assertThat(WantedStatistics.of(vectors, LINEARS, linear -> false)).isEqualTo(WantedStatistics.ofEvery(vectors));
    }

    @Test
    void vectorsAndMatricesAreAskedForAsSuch() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ActivationStatistics.none().of(FIRST, Statistic.HESSIAN))
                .withMessage("hessian is not a value for each feature");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ActivationStatistics.none().matrix(manager, FIRST, Statistic.ABS_MAX))
                .withMessage("abs_max is no matrix");
    }

    @Test
    void refusesAMatrixOfAnotherShape() throws IOException {
        try (StatisticsFile statistics = new StatisticsFile(file, INPUTS, EVERY, 2)) {
            observeFirst(statistics);
            observeSecond(statistics);
            statistics.finish();
        }
        LinearSpec wider = new LinearSpec(0, "m", "m", HookPoint.MLP_IN, 3, 4, false);
        assertThatThrownBy(() -> ActivationStatistics.read(file).matrix(manager, wider, Statistic.HESSIAN))
                .isInstanceOf(IOException.class)
                .hasMessage(file + ": tensor blocks.0.mlp_in.hessian has shape [2, 2], expected [4, 4]");
    }
}
