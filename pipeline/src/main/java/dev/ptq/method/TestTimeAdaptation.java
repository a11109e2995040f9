package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Test-time adaptation: before a text is scored, the last block is trained on with the chunks of that text, from what
 * calibration left. It needs no labels, but it sees the test inputs, so what comes of it is transductive. Source: LRQuant
 * (ACL 2024).
 *
 * @param method that trains the block
 */
public record TestTimeAdaptation(LrQuant method) {
    /** The key of a step that asks for it. */
    public static final String KEY = "test_time_adaptation";

    /** The key that it adds to a step. */
    static final Key<Optional<ConfigTable>> TABLE = Key.table(KEY, Section.of(KEY, LrQuant.ADAPTED_KEYS))
            .optional("none")
            .says("adapts the last block to each text, see [below](#test-time-adaptation)");

    /** What is to be said beside every figure. */
    public static final String NOTE = "transductive: uses unlabelled test inputs";

    /**
     * Returns what trains a block on. It is made for one use: what its start holds is not among its settings.
     *
     * @param parameters the folder of those that calibration left
     */
    public Method from(Path parameters) {
        return method.from(new Training.Start(parameters.toString(), ""));
    }

    /** Steps of training, for this many chunks. */
    public int steps(int chunks) {
        return method.training().steps(chunks);
    }
}
