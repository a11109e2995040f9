package dev.ptq.model;

import dev.ptq.format.NumberFormat;

/** The formats of one linear layer's operands. */
public record LinearFormats(NumberFormat weight, NumberFormat activation, NumberFormat bias) {}
