package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.Mappings;
import dev.ptq.model.SmoothingMapping;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Reads and checks the key {@code mappings} of methods that transform. */
final class MappingKeys {
    private static final String NAME = "mappings";

    private static final Choices<SmoothingMapping.Kind> KINDS =
            Choices.of(SmoothingMapping.Kind.values(), SmoothingMapping.Kind::label, kind -> "");

    private MappingKeys() {}

    /** The key, a list of labels. */
    static Key<List<SmoothingMapping.Kind>> key(
            List<SmoothingMapping.Kind> preset, Set<SmoothingMapping.Kind> possible) {
        return Key.choices(NAME, KINDS.only(possible))
                .preset(preset)
                .says("the [mappings](#methods-that-change-weights) that are transformed");
    }

    /** Reads the key; the mappings come in block order. */
    static List<SmoothingMapping.Kind> read(ConfigTable table, Key<List<SmoothingMapping.Kind>> key) {
        return table.read(key).stream().distinct().sorted().toList();
    }

    /**
     * Reports mappings that a step transforms and the model's blocks do not have: as problems if its table names them,
     * and if nothing is left for the step to do.
     *
     * @return what is left out instead, a sentence for each kind
     */
    static List<String> check(Method step, ModelConfig shape, ConfigTable table) {
        boolean isNamed = table.keys().contains(NAME);
        List<String> left = new ArrayList<>();
        List<String> problems = new ArrayList<>();
        boolean transforms = false;
        for (SmoothingMapping.Kind kind : step.transforms().stream().sorted().toList()) {
            List<String> reasons = shape.layers().stream()
                    .flatMap(block ->
                            Optional.ofNullable(Mappings.of(block).absent().get(kind)).stream())
                    .toList();
            String blocks = reasons.size() == shape.blocks()
                    ? "the blocks of this model have"
                    : reasons.size() + " of " + shape.blocks() + " blocks have";
            if (!reasons.isEmpty()) {
                String why = blocks + " no mapping " + kind.label() + " that can be rescaled: "
                        + String.join("; ", reasons.stream().distinct().toList());
                (isNamed && reasons.size() == shape.blocks() ? problems : left).add(why);
            }
            transforms |= reasons.size() < shape.blocks();
        }
        problems.forEach(problem -> table.problem(NAME, problem));
        if (problems.isEmpty() && !left.isEmpty() && !transforms && step.onlyTransforms()) {
            left.forEach(why -> table.problem("method", step.name() + " has nothing to transform: " + why));
        }
        return left.stream()
                .map(why -> step.name() + " leaves a mapping out: " + why)
                .toList();
    }
}
