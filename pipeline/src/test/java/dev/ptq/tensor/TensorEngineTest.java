package dev.ptq.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class TensorEngineTest {
    private static final Path STATUS = Path.of("/proc/self/status");

    @Test
    void givesTheGapsBetweenTensorsBackToTheSystem() throws IOException {
        assumeTrue(
                System.getProperty("os.name").equals("Linux") && !Files.exists(Path.of("/etc/alpine-release")),
                "the GNU allocator alone keeps gaps");
        int tensors = 2000;
        int values = 25_000;
        try (NDManager manager = TensorEngine.newManager()) {
            List<NDArray> made = new ArrayList<>();
            for (int i = 0; i < tensors; i++) {
                made.add(NativeFloats.of(manager, new float[values], values).addi(i));
            }
            for (int i = 0; i < tensors; i += 2) {
                made.get(i).close();
            }
            long before = anonymousKibibytes();
            TensorEngine.returnFreedMemory();
            // half of 195 MiB was free, between tensors that live
            assertThat(before - anonymousKibibytes()).isGreaterThan(60_000);
            for (int i = 1; i < tensors; i += 2) {
                assertThat(made.get(i).getFloat(values - 1)).isEqualTo(i);
            }
        }
    }

    private static long anonymousKibibytes() throws IOException {
        return Files.readAllLines(STATUS).stream()
                .filter(line -> line.startsWith("RssAnon:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
                .findFirst()
                .orElseThrow();
    }
}
