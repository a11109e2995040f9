package dev.ptq.evaluate;

import java.io.IOException;
import java.util.List;

/** A model that scores continuations. */
@FunctionalInterface
public interface RequestScorer {
    /**
     * Scores requests together; a score does not depend on the other requests, beyond rounding.
     *
     * @param name of these requests among all that one stage asks for; equal names mean equal requests
     * @return a score for each request, in their order
     */
    List<Score> score(String name, List<Request> requests) throws IOException;
}
