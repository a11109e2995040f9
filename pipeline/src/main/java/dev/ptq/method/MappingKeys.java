package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.SmoothingMapping;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** Reads and checks the key {@code mappings} of methods that transform. */
final class MappingKeys {
    private static final Choices<SmoothingMapping.Kind> KINDS =
            Choices.of(SmoothingMapping.Kind.values(), SmoothingMapping.Kind::label, kind -> "");

    private MappingKeys() {}

    /** The key, a list of labels. */
    static Key<List<SmoothingMapping.Kind>> key(
            List<SmoothingMapping.Kind> preset, Set<SmoothingMapping.Kind> possible) {
        return Key.choices("mappings", KINDS.only(possible))
                .preset(preset)
                .says("the [mappings](#methods-that-change-weights) that are transformed");
    }

    /** Reads the key; the mappings come in block order. */
    static List<SmoothingMapping.Kind> read(ConfigTable table, Key<List<SmoothingMapping.Kind>> key) {
        return table.read(key).stream().distinct().sorted().toList();
    }

    /** Reports mappings missing from the model's blocks. */
    static void check(List<SmoothingMapping.Kind> mappings, ModelConfig shape, ConfigTable table) {
        List<SmoothingMapping.Kind> there = IntStream.range(0, shape.blocks())
                .boxed()
                .flatMap(block -> LanguageModel.mappings(shape, block).stream())
                .map(SmoothingMapping::kind)
                .distinct()
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
