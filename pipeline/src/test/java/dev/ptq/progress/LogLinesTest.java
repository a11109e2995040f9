package dev.ptq.progress;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class LogLinesTest {
    private final AtomicLong nanos = new AtomicLong();
    private final List<String> lines = new ArrayList<>();

    private void steps(long total, double secondsPerStep) {
        try (Progress progress = new LogLines("perplexity tinystories", total, "chunks", nanos::get, lines::add)) {
            for (long done = 1; done <= total; done++) {
                nanos.addAndGet((long) (secondsPerStep * 1e9));
                progress.step(done);
            }
        }
    }

    @Test
    void saysCountRateAndTimeLeft() {
        steps(40, 1.25);

        assertThat(lines)
                .hasSize(10)
                .startsWith("perplexity tinystories: 4 of 40 chunks, 0.8 chunks/s, 45 s left")
                .endsWith("perplexity tinystories: 40 of 40 chunks, 0.8 chunks/s, 50 s");
    }

    @Test
    void roundsToThreeDigits() {
        steps(128, 1 / 12.3456);

        assertThat(lines).endsWith("perplexity tinystories: 128 of 128 chunks, 12.3 chunks/s, 10.4 s");
    }

    @Test
    void keepsTwoSecondsBetweenLines() {
        steps(100, 0.05); // a tenth takes half a second

        assertThat(lines)
                .extracting(line -> line.replaceAll(".*: (\\d+) of .*", "$1"))
                .containsExactly("40", "80", "100");
    }

    @Test
    void saysOnlyTheEndOfAShortComputation() {
        steps(1000, 0.001);

        assertThat(lines).containsExactly("perplexity tinystories: 1000 of 1000 chunks, 1000 chunks/s, 1 s");
    }

    @Test
    void saysTheEndOnce() {
        Progress progress = new LogLines("load", 0, "files", nanos::get, lines::add);
        progress.step(0);
        progress.step(0);

        assertThat(lines).containsExactly("load: 0 of 0 files, 0 files/s, 0 s");
    }
}
