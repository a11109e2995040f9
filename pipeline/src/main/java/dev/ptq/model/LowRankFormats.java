package dev.ptq.model;

import dev.ptq.format.NumberFormat;
import java.util.Optional;

/**
 * The formats of a low-rank path.
 *
 * @param factor format of both factors
 * @param productA of {@code x A}; absent: the layer's input format, with its own range
 * @param productB of {@code (x A) B}; absent: likewise
 */
public record LowRankFormats(NumberFormat factor, Optional<NumberFormat> productA, Optional<NumberFormat> productB) {}
