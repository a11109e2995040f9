package dev.ptq.model;

import dev.ptq.format.NumberFormat;
import java.util.Optional;

/**
 * The formats of a low-rank path.
 *
 * @param factor format of both factors
 * @param productA of {@code x A}; absent: the layer's input format, with its own range
 * @param productB of {@code (x A) B}; absent: likewise
 * @param input which {@code x} it reads
 */
public record LowRankFormats(
        NumberFormat factor, Optional<NumberFormat> productA, Optional<NumberFormat> productB, Input input) {
    /** Which input of its layer a path reads. */
    public enum Input {
        /** The one that the layer's weight multiplies. */
        ROUNDED,
        /** The same before it was rounded. */
        UNROUNDED
    }

    /** Formats of a path that reads what the layer's weight multiplies. */
    public LowRankFormats(NumberFormat factor, Optional<NumberFormat> productA, Optional<NumberFormat> productB) {
        this(factor, productA, productB, Input.ROUNDED);
    }
}
