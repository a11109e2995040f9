package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.BlockShape;
import dev.ptq.family.MlpShape;
import dev.ptq.model.Mappings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * The parts of fused linears under the names that mappings have for them. Transforms see tensors whose fused linears are
 * taken apart, and what they make of them is put together again; both are differentiable.
 */
final class FusedParts {
    private static final List<String> TENSORS = List.of(".weight", ".bias");

    private final List<Fused> all = new ArrayList<>();

    /**
     * A fused linear.
     *
     * @param groups how often its parts follow each other
     * @param rows of each part in a group
     */
    private record Fused(String path, List<String> parts, int groups, List<Integer> rows) {}

    FusedParts(BlockShape shape) {
        AttentionShape attention = shape.attention();
        if (attention.order() != Order.SEPARATE) {
            int groups = attention.order() == Order.GROUPS ? attention.kvHeads() : 1;
            all.add(new Fused(
                    attention.inputs().get(0).path(),
                    Mappings.attentionInputs(attention),
                    groups,
                    List.of(
                            attention.queryWidth() / groups,
                            attention.keyWidth() / groups,
                            attention.keyWidth() / groups)));
        }
        shape.mlp().mlps().stream()
                .filter(MlpShape::isFused)
                .forEach(mlp -> all.add(new Fused(
                        mlp.inputs().get(0).path(), Mappings.mlpInputs(mlp), 1, List.of(mlp.width(), mlp.width()))));
    }

    /** Returns tensors by the names of {@link dev.ptq.model.Block#tensors}, with fused ones taken apart. */
    Map<String, NDArray> apart(Map<String, NDArray> tensors) {
        Map<String, NDArray> apart = new LinkedHashMap<>(tensors);
        for (Fused fused : all) {
            for (String tensor : TENSORS) {
                Optional.ofNullable(apart.remove(fused.path() + tensor))
                        .ifPresent(whole -> split(fused, whole, tensor, apart));
            }
        }
        return apart;
    }

    private static void split(Fused fused, NDArray whole, String tensor, Map<String, NDArray> target) {
        long columns = columns(whole);
        NDArray groups = whole.reshape(fused.groups(), -1, columns);
        int from = 0;
        for (int i = 0; i < fused.parts().size(); i++) {
            int rows = fused.rows().get(i);
            NDArray part = groups.get(new NDIndex(":,{}:{}", from, from + rows));
            target.put(
                    fused.parts().get(i) + tensor,
                    part.reshape(shape(
                            (long) fused.groups() * rows,
                            columns,
                            whole.getShape().dimension())));
            from += rows;
        }
    }

    /** Puts together what {@link #apart} took apart. A bias that some parts have is zero for the others. */
    Map<String, NDArray> together(Map<String, NDArray> apart) {
        Map<String, NDArray> tensors = new LinkedHashMap<>(apart);
        for (Fused fused : all) {
            for (String tensor : TENSORS) {
                List<NDArray> parts = new ArrayList<>();
                fused.parts().forEach(part -> parts.add(tensors.remove(part + tensor)));
                parts.stream()
                        .filter(Objects::nonNull)
                        .findFirst()
                        .ifPresent(some -> tensors.put(fused.path() + tensor, joined(fused, parts, some)));
            }
        }
        return tensors;
    }

    private static NDArray joined(Fused fused, List<NDArray> parts, NDArray some) {
        long columns = columns(some);
        NDList groups = new NDList();
        long all = 0;
        for (int i = 0; i < parts.size(); i++) {
            int rows = fused.rows().get(i);
            NDArray part = parts.get(i);
            NDArray present =
                    part == null ? some.getManager().zeros(new Shape((long) fused.groups() * rows, columns)) : part;
            groups.add(present.reshape(fused.groups(), rows, columns));
            all += rows;
        }
        return NDArrays.concat(groups, 1)
                .reshape(shape(fused.groups() * all, columns, some.getShape().dimension()));
    }

    private static long columns(NDArray tensor) {
        return tensor.getShape().dimension() == 1 ? 1 : tensor.getShape().get(1);
    }

    private static Shape shape(long rows, long columns, int dimensions) {
        return dimensions == 1 ? new Shape(rows) : new Shape(rows, columns);
    }
}
