package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.model.Edge;
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
        List<Edge.Kind> edges = transformation.edges();
        boolean norms = edges.contains(Edge.Kind.ATTENTION_IN) || edges.contains(Edge.Kind.MLP_IN);
        boolean normMatrix = norms && table.flag("norm_matrix", false);
        boolean queryKeyMatrix = edges.contains(Edge.Kind.QUERY_KEY) && table.flag("q_k_matrix", true);
        boolean matrices = normMatrix || queryKeyMatrix || edges.contains(Edge.Kind.VALUE_OUT);
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
    public List<EquivalentTransform> transforms(BlockWork work) {
        List<EquivalentTransform> transforms = new ArrayList<>();
        for (Edge edge : work.edges(transformation.kinds())) {
            transforms.add(transform(work, edge));
        }
        return transforms;
    }

    private EquivalentTransform transform(BlockWork work, Edge edge) {
        HeadLayout heads = HeadLayout.of(work.shape());
        return switch (edge.kind()) {
            case ATTENTION_IN, MLP_IN ->
                normMatrix
                        ? matrix(work, edge, transformation.startScale(work, edge))
                        : transformation.scaling(work, edge);
            case VALUE_OUT ->
                matrix(work, edge, transformation.startScale(work, edge).reshape(heads.kvHeads(), heads.headDim()));
            case QUERY_KEY -> {
                if (!queryKeyMatrix) {
                    yield transformation.scaling(work, edge);
                }
                if (heads.rotary() && transformation.queryKey() == Transformation.QueryKey.EXACT) {
                    yield new RotaryTurn(
                            work.block().manager(), edge, heads, transformation.floor(), transformation.rate());
                }
                yield matrix(work, edge, work.block().manager().ones(new Shape(heads.kvHeads(), heads.headDim())));
            }
            case MLP_MID -> transformation.scaling(work, edge);
        };
    }

    private EquivalentTransform matrix(BlockWork work, Edge edge, NDArray diagonal) {
        return new AffineMap(
                work.block().manager(),
                edge,
                HeadLayout.of(work.shape()),
                diagonal,
                transformation.startShift(work, edge),
                stabilityFactor,
                transformation.floor(),
                transformation.rate());
    }
}
