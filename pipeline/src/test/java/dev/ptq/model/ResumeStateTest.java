package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Passes that are left between two blocks, as by a killed process. */
class ResumeStateTest {
    private static final int[][] CHUNKS = {{5, 9, 3, 7}, {1, 2, 3, 4}, {8, 8, 0, 6}};

    @TempDir
    private Path folder;

    private LanguageModel model;

    /** Counts what it sees in each block, and fails at one of them. */
    private static final class Watch implements ActivationObserver, ResumeState.Carried {
        private final Map<String, float[]> seen = new LinkedHashMap<>();
        private final int failAt;

        Watch(int failAt) {
            this.failAt = failAt;
        }

        @Override
        public synchronized void observe(int block, HookPoint hookPoint, HookInput input) {
            if (block == failAt) {
                throw new IllegalStateException("killed");
            }
            seen.merge(String.valueOf(block), new float[] {1}, (a, b) -> new float[] {a[0] + b[0]});
        }

        @Override
        public Map<String, float[]> save() {
            return seen;
        }

        @Override
        public void restore(Map<String, float[]> saved) {
            seen.putAll(saved);
        }
    }

    @BeforeEach
    void open() throws IOException {
        model = LanguageModel.open(
                SyntheticModel.llama().layers(4).write(Files.createDirectory(folder.resolve("model"))));
    }

    private List<Integer> run(ResumeState unfinished, Watch watch, List<float[]> result) throws IOException {
        List<Integer> blocks = new ArrayList<>();
        try (BlockRunner runner = new BlockRunner(model, block -> blocks.add(block.index()), false);
                HiddenStates states = model.embed(CHUNKS, 2)) {
            runner.run(states, watch, Progress.Reporter.none().start("", 1, ""), "pass", unfinished, watch);
            for (int i = 0; i < states.size(); i++) {
                result.add(states.batch(i).toFloatArray());
            }
        }
        return blocks;
    }

    private ResumeState every() {
        return new ResumeState(Optional.of(folder), Duration.ZERO);
    }

    @Test
    void goesOnAfterTheLastSavedBlock() throws IOException {
        List<float[]> straight = new ArrayList<>();
        Watch whole = new Watch(-1);
        assertThat(run(ResumeState.none(), whole, straight)).containsExactly(0, 1, 2, 3);

        assertThatThrownBy(() -> run(every(), new Watch(2), new ArrayList<>())).hasMessage("killed");
        List<float[]> result = new ArrayList<>();
        Watch rest = new Watch(-1);
        assertThat(run(every(), rest, result)).containsExactly(2, 3);

        assertThat(result).hasSize(straight.size());
        for (int i = 0; i < result.size(); i++) {
            assertThat(result.get(i)).isEqualTo(straight.get(i));
        }
        assertThat(rest.seen).containsOnlyKeys(whole.seen.keySet());
        rest.seen.forEach((block, count) -> assertThat(count).isEqualTo(whole.seen.get(block)));
    }

    @Test
    void savesNoOftenerThanAsked() throws IOException {
        ResumeState hourly = new ResumeState(Optional.of(folder), Duration.ofHours(1));
        assertThatThrownBy(() -> run(hourly, new Watch(3), new ArrayList<>())).hasMessage("killed");
        assertThat(folder.resolve("pass.safetensors")).doesNotExist();
        assertThat(run(hourly, new Watch(-1), new ArrayList<>())).hasSize(4);
    }

    @Test
    void startsAnewWhereTheFileCannotBeUsed() throws IOException {
        Path file = folder.resolve("pass.safetensors");
        assertThatThrownBy(() -> run(every(), new Watch(2), new ArrayList<>())).hasMessage("killed");
        byte[] whole = Files.readAllBytes(file);
        for (byte[] broken : List.of(new byte[0], java.util.Arrays.copyOf(whole, whole.length - 5), new byte[100])) {
            Files.write(file, broken);
            assertThat(run(every(), new Watch(-1), new ArrayList<>())).containsExactly(0, 1, 2, 3);
        }
    }

    @Test
    void keepsNumbersToTheLastBit() throws IOException {
        double[] numbers = {0.1, -0.0, Math.PI * 1e300, Double.MIN_VALUE, 1 / 3.0};
        every().keep("sums", numbers);
        assertThat(every().numbers("sums"))
                .hasValueSatisfying(kept -> assertThat(kept).isEqualTo(numbers));
        assertThat(every().numbers("others")).isEmpty();
        assertThat(ResumeState.none().numbers("sums")).isEmpty();
        Files.writeString(folder.resolve("sums.txt"), "1.0\nnonsense");
        assertThat(every().numbers("sums")).isEmpty();
    }
}
