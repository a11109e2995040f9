package dev.ptq.model;

import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;

/**
 * The formats of what enters both attention products, of every head by itself.
 *
 * @param query after rotation or scaling
 * @param key as the transpose that enters the product, after rotation
 * @param probability after the softmax
 */
public record AttentionFormats(NumberFormat query, NumberFormat key, NumberFormat value, NumberFormat probability) {
    /** One format for what stands on the left of a product, query and probability, and one for the right. */
    public AttentionFormats(NumberFormat left, NumberFormat right) {
        this(left, right, right, left);
    }

    /** Full precision. */
    public static AttentionFormats none() {
        return new AttentionFormats(new NoFormat(), new NoFormat());
    }

    /** Whether this is full precision. */
    public boolean isNone() {
        return query.isNone() && key.isNone() && value.isNone() && probability.isNone();
    }
}
