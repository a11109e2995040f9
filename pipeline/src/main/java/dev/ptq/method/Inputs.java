package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.Key;

/** Which inputs of a linear a method's statistics are taken from. */
public enum Inputs {
    /** Those in the model in full precision. */
    FULL_PRECISION("full_precision", "those in the model in full precision"),
    /** Those that the finished blocks before give; within the block nothing is rounded. */
    QUANTIZED(
            "quantized",
            "those that come out of the finished blocks before, which run as they will in the end. In the block itself"
                    + " nothing is rounded yet"),
    /** The same with the linears before it in its block as they will run. */
    TRUE_SEQUENTIAL(
            "true_sequential", "the same, and the linears before it in its own block run as they will in the end, too");

    /** The key of a step. */
    static final Key<Inputs> KEY = Key.choice("inputs", Choices.of(values(), Inputs::label, inputs -> inputs.meaning))
            .preset(FULL_PRECISION)
            .says("which inputs of a linear its statistics are taken from");

    private final String label;
    private final String meaning;

    Inputs(String label, String meaning) {
        this.label = label;
        this.meaning = meaning;
    }

    /** The name in configs. */
    public String label() {
        return label;
    }
}
