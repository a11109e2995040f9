package dev.ptq.method;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Test-time adaptation: before a text is scored, the last block is trained further on the chunks of that text, starting
 * from calibration's parameters. It needs no labels, but it sees the test inputs, so its results are transductive.
 * Source: LRQuant (ACL 2024).
 *
 * @param method that trains the block
 */
public record TestTimeAdaptation(LrQuant method) {
    /** The key of a step that enables it. */
    public static final String KEY = "test_time_adaptation";

    /** The key that it adds to a step. */
    static final Key<Optional<ConfigTable>> TABLE = Key.table(KEY, Section.of(KEY, LrQuant.ADAPTED_KEYS))
            .optional("none")
            .says("adapts the last block to each text, see [below](#test-time-adaptation)");

    /** The note shown with every result. */
    public static final String NOTE = "transductive: uses unlabelled test inputs";

    /**
     * Returns the method that trains a block further. Use it once: the contents of its start are not among its
     * settings.
     *
     * @param parameters folder of calibration's parameters
     */
    public Method from(Path parameters) {
        return method.from(new Training.Start(parameters.toString(), ""));
    }

    /** Training steps for this many chunks. */
    public int steps(int chunks) {
        return method.training().steps(chunks);
    }
}
