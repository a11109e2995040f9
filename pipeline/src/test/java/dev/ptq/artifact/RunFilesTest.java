package dev.ptq.artifact;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RunFilesTest {
    @Test
    void foldersOfTextsAndTasksAreBelowTheirVariant() {
        assertThat(RunFiles.text(Variant.ROUND_TO_NEAREST, "tales")).isEqualTo("evaluate/round_to_nearest/tales");
        assertThat(RunFiles.task(Variant.QUANTIZED, "mmlu")).isEqualTo("evaluate/quantized/tasks/mmlu");
    }

    @Test
    void samplesNameTheirTask() {
        assertThat(RunFiles.samples("mmlu_law")).isEqualTo("samples_mmlu_law.jsonl");
        assertThat(RunFiles.taskOfSamples(RunFiles.samples("mmlu_law"))).isEqualTo("mmlu_law");
    }

    /** Files of earlier versions are read by these. */
    @Test
    void columnsAreTheHeadersOfTheFiles() {
        assertThat(TableColumn.header(ApproximatedColumn.values()))
                .containsExactly(
                        "module",
                        "method",
                        "out_features",
                        "in_features",
                        "rank",
                        "error_before",
                        "error_after",
                        "energy_captured",
                        "seconds",
                        "loss_rtn",
                        "loss_initial",
                        "loss_final",
                        "best_step",
                        "steps",
                        "damping",
                        "dead_columns",
                        "ratio",
                        "duo",
                        "clipped",
                        "split_rank",
                        "loss_separate",
                        "note");
        assertThat(TableColumn.header(QuantizedColumn.values()))
                .containsExactly(
                        "module", "format", "bits_per_value", "bits_per_value_with_low_rank", "relative_error");
        assertThat(TableColumn.header(ChunkColumn.values())).containsExactly("chunk", "loss", "tokens");
        assertThat(TableColumn.header(DivergenceColumn.values()))
                .containsExactly("chunk", "kl_divergence", "top1_agreement");
        assertThat(TableColumn.header(RotationColumn.values())).containsExactly("step", "loss");
        assertThat(TableColumn.header(FoldColumn.values())).containsExactly("method", "block", "distance");
        assertThat(TableColumn.header(LedgerColumn.values()))
                .containsExactly("event", "source", "place", "amount", "note");
    }
}
