package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NaturalOrderTest {
    @Test
    void numbersSortBySize() {
        List<String> sorted = List.of(
                "4",
                "08",
                "8",
                "a",
                "a/x",
                "a-b",
                "damping-0.05",
                "damping-0.1",
                "damping-0.25",
                "rank-8",
                "rank-8-w3",
                "rank-8-w4",
                "rank-16",
                "rank-16/seed-2",
                "rank-16/seed-10",
                "rank-99999999999999999999",
                "rank-x");
        List<String> shuffled = new ArrayList<>(sorted);
        for (int seed = 0; seed < 20; seed++) {
            Collections.shuffle(shuffled, new Random(seed));
            assertThat(shuffled.stream().sorted(NaturalOrder.INSTANCE))
                    .as("seed %d", seed)
                    .containsExactlyElementsOf(sorted);
        }
    }
}
