package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * Explains why a stage of a plan will be run, or will not.
 *
 * @param made its record, if it is in the cache
 * @param begun whether there is unfinished work to resume
 * @param nearest the entry of the same stage with the fewest differences, if it is not in the cache
 */
public record Explanation(String stage, Optional<StageRecord> made, boolean begun, Optional<Nearest> nearest) {
    /**
     * An unusable entry of the same stage.
     *
     * @param name of its directory in the cache
     */
    public record Nearest(String name, List<Difference> differences) {}

    /**
     * One reason why it is unusable.
     *
     * @param key of the setting, or what else differs
     * @param text the rest of the sentence that starts with the key
     */
    public record Difference(String key, String text) {}

    /** Explains each stage of a plan, in order. Locks nothing and writes nothing. */
    public static List<Explanation> of(Path results, Plan plan) throws IOException {
        return new Explainer(results, plan).explanations();
    }

    /**
     * Returns the explanation in one line.
     *
     * @param meaning explains a key further, or returns nothing
     */
    public String line(UnaryOperator<String> meaning) {
        if (made.isPresent()) {
            return String.format(
                    Locale.ROOT,
                    "%s: cached, made %s in %.1f s",
                    stage,
                    made.get().started(),
                    made.get().seconds());
        }
        return stage + ": " + (begun ? "begun, will go on from there; " : "not made; ")
                + nearest.map(entry -> "nearest entry " + entry.name() + ": " + reasons(entry, meaning))
                        .orElse("no entry of this stage");
    }

    private static String reasons(Nearest entry, UnaryOperator<String> meaning) {
        return entry.differences().stream()
                .map(difference -> {
                    String more = meaning.apply(difference.key());
                    return difference.key() + " " + difference.text() + (more.isEmpty() ? "" : " (" + more + ")");
                })
                .collect(Collectors.joining("; "));
    }
}
