package dev.ptq.calibrate;

import dev.ptq.config.ConfigTable;
import dev.ptq.data.Split;
import dev.ptq.data.Text;

/**
 * The text that statistics are taken from, {@code [calibration]}.
 *
 * @param numSamples chunks from the start of the text
 * @param seqLen tokens in a chunk
 * @param batchSize chunks in a batch; statistics that are taken per batch depend on it
 */
public record CalibrationSettings(Text text, int numSamples, int seqLen, int batchSize) {
    /** Reads {@code [calibration]}. */
    public static CalibrationSettings read(ConfigTable table) {
        return new CalibrationSettings(
                Text.read(table, Split.TRAIN),
                table.integer("num_samples", 32, 1, Integer.MAX_VALUE),
                table.integer("seq_len", 2048, 2, 1 << 20),
                table.integer("batch_size", 4, 1, 1 << 16));
    }
}
