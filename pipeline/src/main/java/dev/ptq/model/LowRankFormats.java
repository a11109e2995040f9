package dev.ptq.model;

import dev.ptq.format.NumberFormat;
import java.util.Optional;

/**
 * The formats of a low-rank path.
 *
 * @param factor that both factors are rounded to
 * @param productA of {@code x A}; absent: that of the layer's inputs, with a range of its own
 * @param productB of {@code (x A) B}; absent: likewise
 */
public record LowRankFormats(NumberFormat factor, Optional<NumberFormat> productA, Optional<NumberFormat> productB) {}
