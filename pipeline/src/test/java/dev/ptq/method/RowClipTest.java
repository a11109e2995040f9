package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Section;
import dev.ptq.model.Linear;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The method that {@code docs/write-a-method.md} explains. */
class RowClipTest {
    private static final String INT3 = "weight = { format = 'int', bits = 3, granularity = 'channel' }";

    @TempDir
    Path folder;

    private CalibratedBlock calibrated;

    @BeforeEach
    void makeBlock() throws IOException {
        calibrated = new CalibratedBlock(folder, 3);
    }

    @AfterEach
    void closeBlock() throws IOException {
        calibrated.close();
    }

    private static RowClip read(String keys) {
        ConfigTable table = ConfigTable.parse(keys, "test", List.of(), Section.of("row_clip", RowClip.KEYS));
        RowClip method = RowClip.read(table);
        table.finish();
        return method;
    }

    @Test
    void itsOutputsErrLessThanThoseOfNearest() throws IOException {
        BlockContext context = calibrated.context(INT3, calibrated.statistics);
        read("").apply(context);
        assertThat(context.roundingReports())
                .hasSize(calibrated.block.linears().size())
                .allSatisfy(report -> assertThat(report.loss()).isLessThanOrEqualTo(report.nearestLoss()))
                .anySatisfy(report -> assertThat(report.loss()).isLessThan(0.9 * report.nearestLoss()));
        BlockPatch patch = context.finish();
        for (BlockContext.RoundingReport report : context.roundingReports()) {
            // as computed from the inputs themselves, in float64
            assertThat(calibrated.outputLoss(report.linear(), calibrated.lacking(patch, report.linear())))
                    .isCloseTo(report.loss(), within(1e-4 * report.loss()));
        }
    }

    @Test
    void theWholeRangeIsPlainRounding() throws IOException {
        BlockContext context = calibrated.context(INT3, calibrated.statistics);
        read("smallest = 1.0").apply(context);
        for (Linear linear : calibrated.block.linears()) {
            assertThat(context.quantizedWeight(linear).toFloatArray())
                    .containsExactly(context.roundedToNearest(linear.spec(), linear.weight())
                            .toFloatArray());
        }
    }

    @Test
    void keysAreChecked() {
        assertThat(read("steps = 4")).isEqualTo(new RowClip(4, 0.5));
        Assertions.assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> read("steps = 0\nsmalest = 0.9"))
                .withMessageContaining("steps: expected a whole number from 1 to 1000, got 0")
                .withMessageContaining("did you mean \"smallest\"?");
    }

    @Test
    void thePageShowsThisCode() throws IOException {
        Path source = Shared.root().resolve("pipeline/src/test/java/dev/ptq/method/RowClip.java");
        assertThat(Files.readString(Shared.root().resolve("docs/write-a-method.md")))
                .contains("```java\n" + Files.readString(source) + "```\n");
    }
}
