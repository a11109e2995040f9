package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.function.BiFunction;

/**
 * Weights in the integers of {@link IntegerGrid#FULL_RANGE}, with what AutoRound learns of them: a shift of each value
 * before it is rounded, in steps, and factors of both ends of each group's range. The value is {@code scale
 * (clamp(round(weight / scale + shift) + zeroPoint) - zeroPoint)}, where scale and zero point belong to the range from
 * {@code lower · min(0, min)} to {@code upper · max(0, max)}. With factors of 1 and without shifts it is that of {@link
 * NumberFormat#fakeQuantize}, but for the precision of scales. Source: SignRound (EMNLP 2024 Findings) and its code,
 * AutoRound.
 *
 * @param format that of the grid; its range is not searched
 * @param halfScales whether scales are rounded to float16, as AutoRound does
 */
public record ShiftedIntegers(IntegerGridFormat format, boolean halfScales) {
    public ShiftedIntegers {
        if (!fits(format)) {
            throw new IllegalArgumentException("expected the grid " + IntegerGrid.FULL_RANGE + ", got " + format);
        }
    }

    /** Returns whether weights of a format can be learned like this. */
    public static boolean fits(NumberFormat format) {
        return format instanceof IntegerGridFormat integers
                && integers.grid() == IntegerGrid.FULL_RANGE
                && integers.range() == IntegerFormat.Range.MINMAX;
    }

    /** Returns the shape of values that each group of a weight has one of, see {@link IntegerFormat#groups}. */
    public Shape groups(Shape weight) {
        return format.granularity().groups(weight, format.groupSize());
    }

    /**
     * Rounds a weight. Differentiable in all arguments: rounding passes gradients on, also that of the zero point and of
     * scales to float16; a range passes its own to the extreme values. The lowest and the highest code pass none to
     * weights and shifts, as in AutoRound on PyTorch 2.15. Where they do, as by the clamp of PyTorch 2.7, ranges become
     * too small: of stories260k with three bits in groups of 32 the first block's loss ends 12 % higher.
     *
     * @param weight {@code [outFeatures, inFeatures]}, float32 or float64
     * @param upper from 0 to 1, of shape {@link #groups}
     * @param lower likewise
     * @param shift of the weight's shape, in steps
     * @return in the manager of the weight
     */
    public NDArray round(NDArray weight, NDArray upper, NDArray lower, NDArray shift) {
        Shape shape = weight.getShape();
        IntegerFormat.requireShape("shift", shift, shape);
        return IntegerFormat.withScratch(
                scratch -> {
                    Groups lines = lines(shape);
                    return inRange(scratch, lines, weight, upper, lower, (range, codes) -> {
                        NDArray rounded = Torch.shiftedIntegers(
                                lines.of(weight), lines.of(shift), range.get(0), range.get(1), codes);
                        return lines.restored(rounded);
                    });
                },
                weight,
                upper,
                lower,
                shift);
    }

    /** Returns the grid whose values are those of {@link #round}, bit for bit; all arguments are float32. */
    public Grid grid(NDArray weight, NDArray upper, NDArray lower, NDArray shift) {
        Shape shape = weight.getShape();
        try (NDArray rounded = round(weight, upper, lower, shift)) {
            return IntegerFormat.borrowing(
                    scratch -> inRange(scratch, lines(shape), weight, upper, lower, (range, codes) -> {
                        StepEncoding encoding = format.encoding(
                                format.blocks(shape, Operand.WEIGHT),
                                range.get(0).toFloatArray(),
                                range.get(1).toFloatArray());
                        return Grid.ofRounded(format, shape, Operand.WEIGHT, encoding, NativeFloats.window(rounded));
                    }),
                    weight,
                    upper,
                    lower);
        }
    }

    private Groups lines(Shape weight) {
        return new Groups(format.granularity(), format.groupSize(), weight, Operand.WEIGHT);
    }

    /** Hands over scale and zero point of each line, and the codes. */
    private <T> T inRange(
            NDManager scratch,
            Groups lines,
            NDArray weight,
            NDArray upper,
            NDArray lower,
            BiFunction<NDList, NDArray, T> use) {
        Shape groups = groups(weight.getShape());
        IntegerFormat.requireShape("upper factor", upper, groups);
        IntegerFormat.requireShape("lower factor", lower, groups);
        Shape each = lines.shared(groups);
        NDArray codes = Torch.codes(scratch, format.lowestCode(), format.highestCode());
        NDList range = Torch.fullRange(
                format.isSymmetric(),
                lines.of(weight),
                upper.reshape(each),
                lower.reshape(each),
                codes,
                NativeFloats.scalar(scratch, halfScales ? 1 : 0));
        return use.apply(range, codes);
    }
}
