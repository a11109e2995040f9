package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.model.Edge;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The key {@code edges} of methods that transform. */
final class Edges {
    private Edges() {}

    /** Reads the key, a list of labels. */
    static List<Edge.Kind> read(ConfigTable table, List<Edge.Kind> preset, Set<Edge.Kind> possible) {
        List<String> labels = possible.stream().map(Edge.Kind::label).toList();
        List<Edge.Kind> kinds = new ArrayList<>();
        for (String label :
                table.strings("edges", preset.stream().map(Edge.Kind::label).toList())) {
            if (!labels.contains(label)) {
                table.problem("edges", "expected some of " + labels + ", got '" + label + "'");
            }
            possible.stream().filter(kind -> kind.label().equals(label)).forEach(kinds::add);
        }
        return kinds.stream().distinct().sorted().toList();
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
