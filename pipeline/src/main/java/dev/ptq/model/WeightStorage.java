package dev.ptq.model;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.weights.Packing;

/**
 * What the weight of a linear takes.
 *
 * @param valueBits of a value as it enters a product
 * @param bits of all values, with scales
 */
public record WeightStorage(int valueBits, double bits) {
    /** That of a weight in a format. */
    public static WeightStorage of(LinearSpec linear, NumberFormat format) {
        Shape shape = new Shape(linear.outFeatures(), linear.inFeatures());
        return new WeightStorage(format.bits(), format.storageBits(shape, Operand.WEIGHT));
    }

    /** That of a weight as a checkpoint has packed it. */
    public static WeightStorage of(Packing packing) {
        return new WeightStorage(packing.valueBits(), packing.bits());
    }
}
