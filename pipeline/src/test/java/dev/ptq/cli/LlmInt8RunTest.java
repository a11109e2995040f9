package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs with inputs rounded as in LLM.int8(). */
class LlmInt8RunTest {
    private static final String CONFIG = """
            [model]
            path = "DIR/llama"
            [quantization.activation]
            format = "llm_int8"
            bits = 3
            threshold = 2.5
            per = "%s"
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 6
            batch_size = %d
            """;

    private static final String STAGE = "evaluate/quantized/tales";

    @TempDir
    private Path folder;

    private record Run(double loss, String fingerprint) {}

    private static Run run(TinyExperiment tiny, String per, int batchSize) throws IOException {
        String tag = per + batchSize;
        TinyExperiment.Outcome outcome = tiny.run(CONFIG.formatted(per, batchSize), tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        Map<String, String> stages = tiny.stages(tag, "fingerprint");
        return new Run(
                Objects.requireNonNull(tiny.metrics(tag).get("perplexity/tales/loss")),
                Objects.requireNonNull(stages.get(STAGE)));
    }

    /** Results of sequences are their own; those of a batch depend on its size, which is part of the fingerprint. */
    @Test
    void onlyAskedToDoResultsDependOnTheBatch() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        Run alone = run(tiny, "sequence", 1);
        Run together = run(tiny, "sequence", 3);
        assertThat(together.loss()).isCloseTo(alone.loss(), within(1e-6));
        Run batchOfOne = run(tiny, "batch", 1);
        assertThat(batchOfOne.loss()).isEqualTo(alone.loss());
        Run ofThree = run(tiny, "batch", 3);
        Run ofSix = run(tiny, "batch", 6);
        assertThat(Math.abs(ofThree.loss() - alone.loss())).isGreaterThan(1e-5);
        assertThat(Math.abs(ofSix.loss() - ofThree.loss())).isGreaterThan(1e-5);
        assertThat(new String[] {
                    alone.fingerprint(),
                    together.fingerprint(),
                    batchOfOne.fingerprint(),
                    ofThree.fingerprint(),
                    ofSix.fingerprint()
                })
                .doesNotHaveDuplicates();
    }
}
