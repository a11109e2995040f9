package dev.ptq.model;

import dev.ptq.format.LinearFacts;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import java.io.IOException;

/**
 * The formats of one linear layer's operands.
 *
 * @param output of the layer's result, bias and low-rank path included, before anything else happens to it
 */
public record LinearFormats(NumberFormat weight, NumberFormat activation, NumberFormat bias, NumberFormat output) {
    /** Formats of the operands alone. */
    public LinearFormats(NumberFormat weight, NumberFormat activation, NumberFormat bias) {
        this(weight, activation, bias, new NoFormat());
    }

    /** Returns the formats that know what they ask about their linear. */
    LinearFormats knowing(LinearFacts facts) throws IOException {
        return new LinearFormats(weight.knowing(facts), activation.knowing(facts), bias, output);
    }

    /** The same with another input format. */
    LinearFormats withActivation(NumberFormat other) {
        return new LinearFormats(weight, other, bias, output);
    }

    /** The same with another weight format. */
    LinearFormats withWeight(NumberFormat other) {
        return new LinearFormats(other, activation, bias, output);
    }

    /** Full precision. */
    public static LinearFormats none() {
        return new LinearFormats(new NoFormat(), new NoFormat(), new NoFormat());
    }
}
