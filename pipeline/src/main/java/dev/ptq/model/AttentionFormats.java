package dev.ptq.model;

import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;

/**
 * The formats of the operands of both attention products, applied per head.
 *
 * @param query after rotation or scaling
 * @param key as the transpose that enters the product, after rotation
 * @param probability after the softmax
 */
public record AttentionFormats(NumberFormat query, NumberFormat key, NumberFormat value, NumberFormat probability) {
    /** One format for the left operands of the products, query and probability, and one for the right ones. */
    public AttentionFormats(NumberFormat left, NumberFormat right) {
        this(left, right, right, left);
    }

    /** Full precision. */
    public static AttentionFormats none() {
        return new AttentionFormats(new NoFormat(), new NoFormat());
    }

    /** Returns whether nothing is rounded. */
    public boolean isNone() {
        return query.isNone() && key.isNone() && value.isNone() && probability.isNone();
    }
}
