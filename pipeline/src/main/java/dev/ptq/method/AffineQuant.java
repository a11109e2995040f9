package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.model.SmoothingMapping;
import java.util.ArrayList;
import java.util.List;

/**
 * AffineQuant: OmniQuant with invertible matrices in place of factors where they fold into weights, and optionally
 * behind norms, where they do not fold. Source: AffineQuant (ICLR 2024).
 *
 * @param normMatrix whether there are full matrices behind norms; their inverses are then applied at run time
 * @param queryKeyMatrix whether there are matrices between queries and keys
 * @param stabilityFactor factor of a matrix's values off the diagonal
 */
record AffineQuant(
        Transformation transformation,
        Clipping clipping,
        Training training,
        boolean normMatrix,
        boolean queryKeyMatrix,
        double stabilityFactor)
        implements LearnedMethod.OfRanges {
    private static final Transformation.Defaults DEFAULTS =
            new Transformation.Defaults(ScaleStart.Rule.BALANCED, Transformation.Shift.ZERO, 5e-3);

    private static final Key<Boolean> NORM_MATRIX = Key.flag("norm_matrix")
            .preset(false)
            .says(
                    "whether there are matrices behind norms. Norms cannot absorb them, so their inverses stay in the block");

    private static final Key<Boolean> QUERY_KEY_MATRIX =
            Key.flag("q_k_matrix").preset(true).says("whether there are matrices between queries and keys");

    private static final Key<Double> STABILITY_FACTOR = Key.decimal("stability_factor")
            .from(0.0)
            .to(1.0)
            .preset(0.1)
            .says(
                    "factor of a matrix's values off the diagonal. Diagonals open one after another as epochs pass, and rows"
                            + " stay strictly diagonally dominant");

    /** The keys of a step. */
    static final Keys KEYS = DEFAULTS.keys()
            .and(NORM_MATRIX, QUERY_KEY_MATRIX, STABILITY_FACTOR)
            .and(Clipping.KEYS)
            .and(Training.EPOCH_KEYS);

    static AffineQuant read(ConfigTable table) {
        Transformation transformation = Transformation.read(table, DEFAULTS);
        List<SmoothingMapping.Kind> mappings = transformation.mappings();
        boolean norms = mappings.contains(SmoothingMapping.Kind.ATTENTION_IN)
                || mappings.contains(SmoothingMapping.Kind.MLP_IN);
        boolean normMatrix = norms && table.read(NORM_MATRIX);
        boolean queryKeyMatrix = mappings.contains(SmoothingMapping.Kind.QUERY_KEY) && table.read(QUERY_KEY_MATRIX);
        boolean matrices = normMatrix || queryKeyMatrix || mappings.contains(SmoothingMapping.Kind.VALUE_OUT);
        return new AffineQuant(
                transformation,
                Clipping.read(table),
                Training.readEpochs(table, Training.Loss.SQUARED, 0),
                normMatrix,
                queryKeyMatrix,
                matrices ? table.read(STABILITY_FACTOR) : 0);
    }

    @Override
    public String name() {
        return "affinequant";
    }

    @Override
    public List<EquivalentTransform> transforms(BlockContext context) {
        List<EquivalentTransform> transforms = new ArrayList<>();
        for (SmoothingMapping mapping : context.mappings(transformation.kinds())) {
            transforms.add(transform(context, mapping));
        }
        return transforms;
    }

    private EquivalentTransform transform(BlockContext context, SmoothingMapping mapping) {
        HeadLayout heads = HeadLayout.of(context.shape().attention());
        return switch (mapping.kind()) {
            case ATTENTION_IN, MLP_IN ->
                normMatrix
                        ? matrix(context, mapping, transformation.startScale(context, mapping))
                        : transformation.scaling(context, mapping);
            case VALUE_OUT ->
                matrix(
                        context,
                        mapping,
                        transformation.startScale(context, mapping).reshape(heads.kvHeads(), heads.headDim()));
            case QUERY_KEY -> {
                if (!queryKeyMatrix) {
                    yield transformation.scaling(context, mapping);
                }
                if (heads.rope().isPresent() && transformation.queryKey() == Transformation.QueryKey.EXACT) {
                    yield new RotaryTurn(
                            context.block().manager(), mapping, heads, transformation.floor(), transformation.rate());
                }
                yield matrix(
                        context, mapping, context.block().manager().ones(new Shape(heads.kvHeads(), heads.headDim())));
            }
            case MLP_MID -> transformation.scaling(context, mapping);
        };
    }

    private EquivalentTransform matrix(BlockContext context, SmoothingMapping mapping, NDArray diagonal) {
        return new AffineMap(
                context.block().manager(),
                mapping,
                HeadLayout.of(context.shape().attention()),
                diagonal,
                transformation.startShift(context, mapping),
                stabilityFactor,
                transformation.floor(),
                transformation.rate());
    }
}
