package dev.ptq.model;

import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;

/**
 * The formats of both attention products.
 *
 * @param left of queries and of attention probabilities
 * @param right of keys, as the transpose that enters the product, and of values
 */
public record AttentionFormats(NumberFormat left, NumberFormat right) {
    /** Full precision. */
    public static AttentionFormats none() {
        return new AttentionFormats(new NoFormat(), new NoFormat());
    }
}
