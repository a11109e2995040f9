package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.HalfScaleFormat;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A method that trains a transformation and the rounding of weights, block by block. Methods differ in what they make
 * of their settings.
 */
interface LearnedMethod extends Method {
    Training training();

    Transformation transformation();

    /** Returns whether it learns the rounding of weights, which takes a format that {@link #fits}. */
    boolean learnsRounding();

    /** Returns whether it learns the ranges of weights, which leaves nothing to search for. */
    default boolean learnsRanges() {
        return false;
    }

    /** Returns the rounding of a linear's weight while its block is trained. */
    WeightRounding rounding(BlockContext context, Linear linear);

    /** Returns the transforms of the current block. */
    default List<EquivalentTransform> transforms(BlockContext context) {
        return transformation().scalings(context);
    }

    /** A method that may learn the ranges of weights. */
    interface OfRanges extends LearnedMethod {
        Clipping clipping();

        @Override
        default boolean learnsRounding() {
            return clipping().learned();
        }

        @Override
        default boolean learnsRanges() {
            return clipping().learned();
        }

        @Override
        default WeightRounding rounding(BlockContext context, Linear linear) {
            return clipping().rounding(context, linear);
        }
    }

    @Override
    default Phase phase() {
        return Phase.ROUND;
    }

    @Override
    default Needs needs() {
        return new Needs(transformation().statistics(), Inputs.FULL_PRECISION, Optional.of(training()));
    }

    @Override
    default boolean draws() {
        return training().order() != Training.Order.GIVEN;
    }

    @Override
    default boolean onlyTransforms() {
        return !learnsRounding();
    }

    @Override
    default Set<SmoothingMapping.Kind> transforms() {
        return transformation().kinds();
    }

    @Override
    default void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        List<LinearSpec> linears = LanguageModel.linears(shape);
        if (quantization.weightsOnly().isNone()) {
            table.problem(
                    "method",
                    name() + " trains a block whose weights are rounded, and no weight has a format: add one to"
                            + " [quantization.weight]");
        } else if (!learnsRounding() && transforms().isEmpty()) {
            table.problem("method", name() + " has nothing to learn: no mapping is transformed, and lwc is false");
        } else if (learnsRounding()) {
            linears.stream()
                    .filter(linear -> {
                        NumberFormat format = quantization.weight(linear.weightName());
                        return !format.isNone() && !fits(format);
                    })
                    .findFirst()
                    .ifPresent(linear -> table.problem(
                            "method",
                            name() + " learns the scales of integers, and " + linear.weightName()
                                    + " has another format; give it "
                                    + settingFor(quantization.weight(linear.weightName()))
                                    + " or \"none\""));
            linears.stream()
                    .filter(linear -> learnsRanges()
                            && quantization.weight(linear.weightName()) instanceof IntegerFormat format
                            && format.range() != IntegerFormat.Range.MINMAX)
                    .findFirst()
                    .ifPresent(linear -> table.problem(
                            "method",
                            name() + " learns the ranges of weights, and that of " + linear.weightName()
                                    + " is searched for; take range = \"minmax\", or lwc = false"));
        }
    }

    private String settingFor(NumberFormat format) {
        return format instanceof HalfScaleFormat half && fits(half.format())
                ? "scale_dtype = \"float32\""
                : settingThatFits(format);
    }

    /** Returns whether it can learn the rounding to a format. */
    default boolean fits(NumberFormat format) {
        return format instanceof IntegerFormat;
    }

    /** Returns the settings with which a format that does not would fit. */
    default String settingThatFits(NumberFormat format) {
        return "format = \"int\"" + (format instanceof IntegerGridFormat ? " with grid = \"narrow\"" : "");
    }

    @Override
    default void apply(BlockContext context) throws IOException {
        BlockParametrization parametrization = new BlockParametrization(
                context.block(),
                context.shape(),
                context.formats(),
                transforms(context),
                linear -> context.isWorkedOn(linear.spec())
                        ? rounding(context, linear)
                        : WeightRounding.nearest(
                                context.formats().of(linear.spec()).weight()));
        try (BlockReconstruction reconstruction = new BlockReconstruction(context, parametrization, training())) {
            reconstruction.run(this);
        }
    }
}
