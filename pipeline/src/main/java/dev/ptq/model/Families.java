package dev.ptq.model;

import java.util.List;

/** The registry of model families. */
final class Families {
    static final List<Family> ALL = List.of(Llama.FAMILY, Opt.FAMILY);

    private Families() {}

    /** The architecture for a model of this shape. */
    static Architecture architecture(ModelConfig config) {
        return ALL.stream()
                .filter(family -> family.modelType().equals(config.family()))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no model family " + config.family()))
                .architecture()
                .apply(config);
    }
}
