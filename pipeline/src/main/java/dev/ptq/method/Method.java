package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import java.io.IOException;
import java.util.Optional;
import java.util.Set;

/**
 * A step of {@code [[approximation]]}: a record that is its own settings. It is listed in {@link Methods}; how steps go
 * together is for {@link Composition} to say.
 */
public interface Method {
    /** The word in configs. */
    String name();

    /** When it acts. */
    Phase phase();

    /** What it must be given. */
    Needs needs();

    /** Whether it works on a linear; the inputs of others need no statistics. */
    default boolean matches(LinearSpec linear) {
        return true;
    }

    /** The mappings whose channels it rescales, which changes weights on both sides and what flows between. */
    default Set<SmoothingMapping.Kind> transforms() {
        return Set.of();
    }

    /** Reads the table that asks for the last block to be trained on before a text is scored, of a method that can be. */
    default Optional<TestTimeAdaptation> adaptation(ConfigTable step) {
        return Optional.empty();
    }

    /** Reports to {@code table} what does not fit a model of this shape, or these formats. */
    void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table);

    /** Works on one block. */
    void apply(BlockContext context) throws IOException;
}
