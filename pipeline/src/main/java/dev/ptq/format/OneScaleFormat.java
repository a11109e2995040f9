package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;

/** A format whose values can all share one scale; with a known range they do. */
public sealed interface OneScaleFormat extends RangedFormat
        permits IntegerFormat, BlockFloatFormat, IntegerGridFormat, Fp8Format {
    /** Returns the encoding if all values are one block of known range. */
    Encoding within(Blocks one, Bounds bounds);

    /**
     * Reads the encoding of a stored tensor.
     *
     * @throws IOException if the parts do not belong to these blocks
     */
    Encoding read(Blocks blocks, Parts parts) throws IOException;

    @Override
    default Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return read(blocks(shape, operand), parts);
    }

    @Override
    default Encoding fitWithin(Bounds bounds, FloatBuffer values, Shape shape, Operand operand) {
        Encoding encoding = within(Blocks.one(shape), bounds);
        encoding.round(values);
        return encoding;
    }

    @Override
    default Encoding readWithin(Shape shape, Operand operand, Parts parts) throws IOException {
        return read(Blocks.one(shape), parts);
    }

    @Override
    default double storageBitsWithin(Shape shape, Operand operand) {
        return storageBits(new Shape(1, shape.size()), operand);
    }
}
