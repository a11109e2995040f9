package dev.ptq.format;

/** The scale of a block: how it follows from the block's largest magnitude, is stored, and is used. */
interface Scaling {
    /**
     * Returns the scale in its stored form.
     *
     * @param maximumBits of the block's largest magnitude, without sign; NaN above all
     */
    float stored(int maximumBits);

    /** Returns the number that elements are multiplied by. */
    float scale(float stored);

    /** Returns the number that values are multiplied by before rounding; without meaning if they are divided. */
    float factor(float stored);
}
