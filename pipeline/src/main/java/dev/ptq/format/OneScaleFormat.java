package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A format whose values can all share one scale; with known ranges they do, or those of each feature. */
public sealed interface OneScaleFormat extends RangedFormat
        permits IntegerFormat, BlockFloatFormat, IntegerGridFormat, Fp8Format {
    /** Returns the encoding of blocks of known ranges, of which there are as many. */
    Encoding within(Blocks blocks, List<Bounds> ranges);

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

    /** Returns the blocks of values that have one range. */
    private Blocks blocksWithin(Shape shape) {
        return hasRangePerFeature() ? Blocks.columns(shape) : Blocks.one(shape);
    }

    @Override
    default Encoding fitWithin(List<Bounds> ranges, FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocksWithin(shape);
        if (ranges.size() != (hasRangePerFeature() ? blocks.columns() : 1)) {
            throw new IllegalArgumentException(
                    "ranges of " + ranges.size() + " features, for a tensor of shape " + shape);
        }
        Encoding encoding = within(blocks, blocks.count() == 0 ? List.of() : ranges);
        encoding.round(values);
        return encoding;
    }

    @Override
    default Encoding fitWithScale(float scale, int zeroPoint, FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = Blocks.one(shape);
        long[] stored = {blocks.strips(), blocks.across()};
        int count = Math.toIntExact(blocks.count());
        float[] scales = new float[count];
        int[] zeroPoints = new int[count];
        Arrays.fill(scales, scale);
        Arrays.fill(zeroPoints, zeroPoint);
        Map<String, RawTensor> parts = new LinkedHashMap<>();
        parts.put(SmallFloatEncoding.SCALE, RawTensor.of(scales, stored));
        if (!isSymmetric()) {
            parts.put(StepEncoding.ZERO_POINT, RawTensor.of(zeroPoints, stored));
        }
        try {
            Encoding encoding = read(blocks, new Parts(parts));
            encoding.round(values);
            return encoding;
        } catch (IOException e) {
            throw new IllegalArgumentException(this + " has no scale of its own: " + e.getMessage(), e);
        }
    }

    @Override
    default Encoding readWithin(Shape shape, Operand operand, Parts parts) throws IOException {
        return read(blocksWithin(shape), parts);
    }

    @Override
    default double storageBitsWithin(Shape shape, Operand operand) {
        // as a weight whose channels are the features
        Blocks blocks = blocksWithin(shape);
        return storageBits(new Shape(blocks.across(), shape.size() / Math.max(1, blocks.across())), Operand.WEIGHT);
    }
}
