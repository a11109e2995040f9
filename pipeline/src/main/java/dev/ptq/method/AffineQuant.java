package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.model.SmoothingMapping;
import java.util.ArrayList;
import java.util.List;

/**
 * AffineQuant: OmniQuant with invertible matrices for factors where these fold into weights, and on request behind norms,
 * where they do not. Source: AffineQuant (ICLR 2024).
 *
 * @param normMatrix whether there are full matrices behind norms; their inverses are then applied at run time
 * @param queryKeyMatrix whether there are matrices between queries and keys
 * @param stabilityFactor of what is beside a matrix's diagonal
 */
record AffineQuant(
        Transformation transformation,
        Clipping clipping,
        Training training,
        boolean normMatrix,
        boolean queryKeyMatrix,
        double stabilityFactor)
        implements LearnedMethod.OfRanges {
    static AffineQuant read(ConfigTable table) {
        Transformation transformation = Transformation.read(table, ScaleStart.Rule.BALANCED, "zero", 5e-3);
        List<SmoothingMapping.Kind> mappings = transformation.mappings();
        boolean norms = mappings.contains(SmoothingMapping.Kind.ATTENTION_IN)
                || mappings.contains(SmoothingMapping.Kind.MLP_IN);
        boolean normMatrix = norms && table.flag("norm_matrix", false);
        boolean queryKeyMatrix = mappings.contains(SmoothingMapping.Kind.QUERY_KEY) && table.flag("q_k_matrix", true);
        boolean matrices = normMatrix || queryKeyMatrix || mappings.contains(SmoothingMapping.Kind.VALUE_OUT);
        return new AffineQuant(
                transformation,
                Clipping.read(table),
                Training.readEpochs(table, Training.Loss.SQUARED, 0),
                normMatrix,
                queryKeyMatrix,
                matrices ? table.decimal("stability_factor", 0.1, 0, 1) : 0);
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
        HeadLayout heads = HeadLayout.of(context.shape());
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
                if (heads.rotary() && transformation.queryKey() == Transformation.QueryKey.EXACT) {
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
                HeadLayout.of(context.shape()),
                diagonal,
                transformation.startShift(context, mapping),
                stabilityFactor,
                transformation.floor(),
                transformation.rate());
    }
}
