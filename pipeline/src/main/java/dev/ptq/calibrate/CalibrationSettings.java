package dev.ptq.calibrate;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.data.Split;
import dev.ptq.data.Text;
import java.util.Optional;

/**
 * The calibration set, {@code [calibration]}.
 *
 * @param numSamples chunks of the text
 * @param seqLen tokens in a chunk
 * @param batchSize chunks in a batch; statistics that are taken per batch depend on it
 * @param drawnBy the seed that draws where the chunks are; absent if they are the first of the text
 * @param experts absent for models without experts
 */
public record CalibrationSettings(
        Text text,
        int numSamples,
        int seqLen,
        int batchSize,
        Optional<Long> drawnBy,
        Optional<ExpertSettings> experts) {
    /** Where the chunks of a text are. */
    private enum Sample {
        RANDOM,
        START
    }

    private static final Key<Integer> NUM_SAMPLES =
            Key.integer("num_samples").from(1).preset(32).says("chunks of the text; learned methods train on them");

    private static final Key<Sample> SAMPLE = Key.choice(
                    "sample",
                    Choices.of(
                                    "random",
                                    Sample.RANDOM,
                                    "anywhere in the tokenized split, without overlap, drawn by `seed`")
                            .and("start", Sample.START, "one after the other, from the start of the text"))
            .preset(Sample.RANDOM)
            .says("where the chunks are");

    private static final Key<Integer> SEQ_LEN =
            Key.integer("seq_len").from(2).to(1 << 20).preset(2048).says("tokens in a chunk");

    private static final Key<Integer> BATCH_SIZE = Key.integer("batch_size")
            .from(1)
            .to(1 << 16)
            .preset(4)
            .says("chunks in a batch; the statistic of `l2qer` is a maximum over batches and depends on it");

    /** Says in a line which chunks these are. */
    public String description() {
        return numSamples + " samples of " + seqLen + " tokens "
                + drawnBy.map(seed -> "drawn from " + text.label() + " by seed " + seed)
                        .orElseGet(() -> "from the start of " + text.label());
    }

    /** The keys of {@code [calibration]}. */
    public static final Section SECTION = Section.of(
            "calibration",
            Text.keys(Split.TRAIN).and(NUM_SAMPLES, SAMPLE, SEQ_LEN, BATCH_SIZE).and(ExpertSettings.KEYS));

    /**
     * Reads {@code [calibration]}.
     *
     * @param seed that draws where chunks are
     * @param hasExperts whether the model has any
     */
    public static CalibrationSettings read(ConfigTable table, long seed, boolean hasExperts) {
        return new CalibrationSettings(
                Text.read(table, Split.TRAIN),
                table.read(NUM_SAMPLES),
                table.read(SEQ_LEN),
                table.read(BATCH_SIZE),
                table.read(SAMPLE) == Sample.RANDOM ? Optional.of(seed) : Optional.empty(),
                ExpertSettings.read(table, hasExperts));
    }
}
