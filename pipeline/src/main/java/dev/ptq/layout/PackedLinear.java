package dev.ptq.layout;

import dev.ptq.format.NumberFormat;
import java.io.IOException;
import java.util.Optional;

/**
 * A packed linear whose tensors have been checked.
 *
 * @param label of its format, for people
 * @param bits of a code
 * @param inFeatures columns of the weight, {@code outFeatures} its rows
 * @param input the format of its input that the checkpoint says; empty if it says none
 */
record PackedLinear(String label, int bits, int outFeatures, int inFeatures, Optional<NumberFormat> input, Rows rows) {
    /** Reads rows {@code from} (inclusive) to {@code to} (exclusive). */
    @FunctionalInterface
    interface Rows {
        CodedMatrix read(int from, int to) throws IOException;
    }

    PackedLinear(String label, int bits, int outFeatures, int inFeatures, Rows rows) {
        this(label, bits, outFeatures, inFeatures, Optional.empty(), rows);
    }

    /** The same with an input format. */
    PackedLinear with(Optional<NumberFormat> format) {
        return new PackedLinear(label, bits, outFeatures, inFeatures, format, rows);
    }
}
