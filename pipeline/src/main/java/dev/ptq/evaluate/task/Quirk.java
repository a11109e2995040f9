package dev.ptq.evaluate.task;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** What the harness does and we do only if asked to. */
public enum Quirk {
    /** Where examples come from the split that is evaluated, a document may be among its own. LAMBADA has this. */
    OWN_ANSWER,
    /** The start token that the tokenizer puts before a page is scored, after another start token. Wikitext has this. */
    SCORED_BOS;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Map<String, Quirk> byLabel() {
        Map<String, Quirk> quirks = new LinkedHashMap<>();
        Arrays.stream(values()).forEach(quirk -> quirks.put(quirk.label(), quirk));
        return quirks;
    }
}
