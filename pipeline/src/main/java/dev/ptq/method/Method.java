package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A step of {@code [[approximation]]}: a record of its own settings. Methods are listed in {@link Methods}; {@link
 * Composition} decides which steps go together.
 */
public interface Method {
    /** The name in configs. */
    String name();

    /** The name in messages on the order of steps, with the settings that decide its phase. */
    default String title() {
        return name();
    }

    /** The phase in which it acts. */
    Phase phase();

    /** Its requirements for working on a block. */
    Needs needs();

    /** Returns whether it works on a linear; the inputs of others need no statistics. */
    default boolean matches(LinearSpec linear) {
        return true;
    }

    /** The mappings whose channels it rescales, which changes weights on both sides and the activations between. */
    default Set<SmoothingMapping.Kind> transforms() {
        return Set.of();
    }

    /** Returns whether it clips weights, after which they are not to be rescaled. */
    default boolean clips() {
        return false;
    }

    /** Returns whether it does nothing but rescale. */
    default boolean onlyTransforms() {
        return phase() == Phase.TRANSFORM;
    }

    /** Returns whether it puts low-rank paths beside linears. */
    default boolean addsPaths() {
        return false;
    }

    /** Reads the table for training the last block further on each text before scoring, if the method supports it. */
    default Optional<TestTimeAdaptation> adaptation(ConfigTable step) {
        return Optional.empty();
    }

    /** Returns the number of samples in a step of training before any block is worked on; absent if there is none. */
    default Optional<Integer> samplesAtOnce() {
        return Optional.empty();
    }

    /** Returns whether the seed decides anything in it. */
    default boolean draws() {
        return false;
    }

    /** Returns what it leaves out in a model because its parts have no place for it, a sentence each. */
    default List<String> notes(ModelConfig shape) {
        return List.of();
    }

    /** Reports to {@code table} what does not fit this model shape, or these formats. */
    void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table);

    /** Works on one block. */
    void apply(BlockContext context) throws IOException;
}
