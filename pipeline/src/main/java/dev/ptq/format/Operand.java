package dev.ptq.format;

/**
 * The role of a tensor in the product it enters, as far as a number format must know: how its array lies, and which way
 * its channels or tokens run.
 */
public enum Operand {
    /** A linear weight, {@code [outFeatures, inFeatures]}; a channel is a row. */
    WEIGHT(false, false),
    /** A bias, {@code [outFeatures]}. */
    BIAS(false, false),
    /** An input of a linear layer, a query, attention probabilities: {@code [..., tokens, features]}. */
    ACTIVATION(false, false),
    /**
     * Keys, held as {@code [..., tokens, headDim]} while the product takes their transpose: a block size applies to the
     * transpose, a token is a row of the array.
     */
    KEY(true, false),
    /** Values, {@code [..., tokens, headDim]}. */
    VALUE(false, false),
    /** A low-rank factor, held as it enters the product, {@code [in, out]}; a channel is a column. */
    FACTOR(false, true);

    private final boolean heldTransposed;
    private final boolean channelsAreColumns;

    Operand(boolean heldTransposed, boolean channelsAreColumns) {
        this.heldTransposed = heldTransposed;
        this.channelsAreColumns = channelsAreColumns;
    }

    boolean heldTransposed() {
        return heldTransposed;
    }

    boolean channelsAreColumns() {
        return channelsAreColumns;
    }
}
