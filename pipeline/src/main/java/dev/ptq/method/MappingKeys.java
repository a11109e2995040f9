package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.SmoothingMapping;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** The key {@code mappings} of methods that transform. */
final class MappingKeys {
    private MappingKeys() {}

    /** Reads the key, a list of labels. */
    static List<SmoothingMapping.Kind> read(
            ConfigTable table, List<SmoothingMapping.Kind> preset, Set<SmoothingMapping.Kind> possible) {
        Map<String, SmoothingMapping.Kind> kinds =
                possible.stream().collect(Collectors.toMap(SmoothingMapping.Kind::label, kind -> kind));
        List<String> labels = preset.stream().map(SmoothingMapping.Kind::label).toList();
        return table.choices("mappings", kinds, labels).stream()
                .distinct()
                .sorted()
                .toList();
    }

    /** Reports mappings that the model's blocks lack. */
    static void check(List<SmoothingMapping.Kind> mappings, ModelConfig shape, ConfigTable table) {
        List<SmoothingMapping.Kind> there = LanguageModel.mappings(shape).stream()
                .map(SmoothingMapping::kind)
                .toList();
        mappings.stream()
                .filter(kind -> !there.contains(kind))
                .forEach(kind -> table.problem(
                        "mappings",
                        "a block of this model has no mapping " + kind.label() + " that can be rescaled; there are "
                                + String.join(
                                        ", ",
                                        there.stream()
                                                .map(SmoothingMapping.Kind::label)
                                                .toList())));
    }
}
