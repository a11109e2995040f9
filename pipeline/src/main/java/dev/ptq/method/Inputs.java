package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import java.util.LinkedHashMap;
import java.util.Map;

/** Which inputs of a linear a method's statistics are taken from. */
public enum Inputs {
    /** Those in the model in full precision. */
    FULL_PRECISION("full_precision"),
    /** Those that the finished blocks before give; within the block nothing is rounded. */
    QUANTIZED("quantized"),
    /** The same with the linears before it in its block as they will run. */
    TRUE_SEQUENTIAL("true_sequential");

    private final String label;

    Inputs(String label) {
        this.label = label;
    }

    /** Reads the key {@code inputs}. */
    static Inputs read(ConfigTable table) {
        Map<String, Inputs> choices = new LinkedHashMap<>();
        for (Inputs inputs : values()) {
            choices.put(inputs.label, inputs);
        }
        return table.choice("inputs", choices, FULL_PRECISION.label);
    }

    /** The name in configs. */
    public String label() {
        return label;
    }
}
