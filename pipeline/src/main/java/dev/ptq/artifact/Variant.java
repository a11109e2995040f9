package dev.ptq.artifact;

import java.util.Arrays;
import java.util.Optional;

/** A variant of the model, by the parts of the experiment that are in force. */
public enum Variant {
    /** Nothing. */
    FULL_PRECISION("full_precision"),
    /** The number formats alone. */
    ROUND_TO_NEAREST("round_to_nearest"),
    /** The number formats and all approximation steps: the experiment itself. */
    QUANTIZED("quantized"),
    /** The same with its last block adapted to the text that is measured. */
    ADAPTED("adapted");

    private final String label;

    Variant(String label) {
        this.label = label;
    }

    /** The name in configs, metrics and directories. */
    public String label() {
        return label;
    }

    /** Returns whether the approximation steps are in force. */
    public boolean approximated() {
        return this == QUANTIZED || this == ADAPTED;
    }

    /** Returns the variant with that name. */
    static Optional<Variant> labelled(String label) {
        return Arrays.stream(values())
                .filter(variant -> variant.label.equals(label))
                .findFirst();
    }

    /** Returns the prefix of this variant's metrics. */
    String prefix() {
        return this == QUANTIZED ? "" : label + "/";
    }
}
