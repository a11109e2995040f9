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
import java.util.stream.Collectors;

/**
 * Reads and checks the key {@code mappings} of methods that transform. A resolved config names only those that the config
 * named: of the usual ones a model may lack some, and to name these is an error.
 *
 * @param usual where the config names none
 */
record MappingKeys(List<SmoothingMapping.Kind> usual, Key<Optional<List<SmoothingMapping.Kind>>> key) {
    private static final String NAME = "mappings";

    private static final Choices<SmoothingMapping.Kind> KINDS =
            Choices.of(SmoothingMapping.Kind.values(), SmoothingMapping.Kind::label, kind -> "");

    /** The key, a list of labels. */
    static MappingKeys of(List<SmoothingMapping.Kind> usual, Set<SmoothingMapping.Kind> possible) {
        String words = usual.stream()
                .map(kind -> "`" + kind.label() + "`")
                .collect(Collectors.joining(", ", "", ", as far as the model has them"));
        return new MappingKeys(
                usual,
                Key.choices(NAME, KINDS.only(possible))
                        .optional(words)
                        .says("the [mappings](#methods-that-change-weights) that are transformed"));
    }

    /** Reads the key; the mappings come in block order. */
    List<SmoothingMapping.Kind> read(ConfigTable table) {
        return table.read(key).orElse(usual).stream().distinct().sorted().toList();
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
