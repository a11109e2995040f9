package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.model.Edge;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelConfig;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** The key {@code edges} of methods that transform. */
final class Edges {
    private Edges() {}

    /** Reads the key, a list of labels. */
    static List<Edge.Kind> read(ConfigTable table, List<Edge.Kind> preset, Set<Edge.Kind> possible) {
        Map<String, Edge.Kind> kinds = possible.stream().collect(Collectors.toMap(Edge.Kind::label, kind -> kind));
        List<String> labels = preset.stream().map(Edge.Kind::label).toList();
        return table.choices("edges", kinds, labels).stream()
                .distinct()
                .sorted()
                .toList();
    }

    /** Reports edges that the model's blocks lack. */
    static void check(List<Edge.Kind> edges, ModelConfig shape, ConfigTable table) {
        List<Edge.Kind> there =
                LanguageModel.edges(shape).stream().map(Edge::kind).toList();
        edges.stream()
                .filter(kind -> !there.contains(kind))
                .forEach(kind -> table.problem(
                        "edges",
                        "a block of this model has no edge " + kind.label() + " that can be rescaled; there are "
                                + String.join(
                                        ", ",
                                        there.stream().map(Edge.Kind::label).toList())));
    }
}
