package dev.ptq.run;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What only the caller can say about how a run is made. It is noted in the manifest and decides nothing.
 *
 * @param version of the program
 * @param commit of the program's source
 * @param threads that numerics use
 * @param sources seeds, and digests of data and model: strings, numbers and nested maps of these
 */
public record Provenance(String version, String commit, int threads, Map<String, Object> sources) {
    public Provenance {
        sources = Collections.unmodifiableMap(new LinkedHashMap<>(sources));
    }
}
