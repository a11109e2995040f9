package dev.ptq.run;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Facts about the making of a run that only the caller knows. Kept in the manifest, without effect on results.
 *
 * @param version of the program
 * @param commit of the program's source
 * @param threads used by numerics
 * @param sources seeds, and digests of data and model: strings, numbers and nested maps of these
 */
public record Provenance(String version, String commit, int threads, Map<String, Object> sources) {
    public Provenance {
        sources = Collections.unmodifiableMap(new LinkedHashMap<>(sources));
    }
}
