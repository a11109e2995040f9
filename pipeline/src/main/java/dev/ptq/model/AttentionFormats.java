package dev.ptq.model;

import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;

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

    /**
     * Whether no format looks at several tokens together. A row of probabilities is a token's, and what shares a scale in
     * it is of several that it attends to.
     */
    boolean roundTokensAlone() {
        return query.roundsTokensAlone(Operand.ACTIVATION)
                && key.roundsTokensAlone(Operand.KEY)
                && value.roundsTokensAlone(Operand.VALUE)
                && probability.isNone();
    }

    /** Full precision. */
    public static AttentionFormats none() {
        return new AttentionFormats(new NoFormat(), new NoFormat());
    }
}
