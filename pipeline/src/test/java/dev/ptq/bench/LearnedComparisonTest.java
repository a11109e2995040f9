package dev.ptq.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A few quick rows of the comparison with the methods' original code; all of them take an hour. */
class LearnedComparisonTest {
    @TempDir
    private Path results;

    @Tag("slow")
    @Test
    void quickRowsKeepTheBar() throws IOException {
        Optional<Path> shared = Shared.find("");
        assumeThat(shared).isPresent();
        LearnedComparison comparison = new LearnedComparison(shared.orElseThrow(), results);
        LearnedComparison.Counts counts = comparison.run("sq_a0.5_w6a6|omni_lwc_w3a16_e5");
        assertThat(counts).isEqualTo(new LearnedComparison.Counts(2, 0));
    }
}
