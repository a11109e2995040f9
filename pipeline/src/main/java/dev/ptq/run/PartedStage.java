package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * A stage whose work consists of parts. Where no part needs another, several processes can each do some of them ahead of
 * {@link Stage#run}, which takes over what is there and does the rest.
 */
public interface PartedStage extends Stage {
    /** The number of parts. */
    int parts();

    /** Why the parts must be done one after the other, if they must. */
    Optional<String> order();

    /**
     * Does some of the parts, unless they are done.
     *
     * @param from the first part
     * @param to after the last part
     * @param inputs as in {@link Stage#run}
     * @param unfinished as in {@link Stage#run}; other processes do other parts in it
     */
    void runParts(int from, int to, Map<String, Path> inputs, Path unfinished) throws IOException;
}
