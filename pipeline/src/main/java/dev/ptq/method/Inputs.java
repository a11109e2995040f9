package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.Key;

/** Which inputs of a linear a method takes its statistics from. */
public enum Inputs {
    /** Inputs in the full-precision model. */
    FULL_PRECISION("full_precision", "inputs in the full-precision model"),
    /** Inputs from the finished blocks before; within the block nothing is rounded. */
    QUANTIZED(
            "quantized",
            "outputs of the finished blocks before it, which run as they will in the end; within the block nothing is"
                    + " rounded yet"),
    /** The same, with earlier linears of the block as they will run. */
    TRUE_SEQUENTIAL("true_sequential", "the same, with the linears before it in its block as they will run, too");

    /** The key of a step. */
    static final Key<Inputs> KEY = Key.choice("inputs", Choices.of(values(), Inputs::label, inputs -> inputs.meaning))
            .preset(FULL_PRECISION)
            .says("which inputs of a linear its statistics describe");

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
