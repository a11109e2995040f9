package dev.ptq.evaluate.task;

import dev.ptq.config.Choices;
import java.util.Locale;

/** A quirk of the harness, reproduced only on request. */
public enum Quirk {
    /** A document may be among its own examples if these come from the evaluated split. LAMBADA has this. */
    OWN_ANSWER("the examples of `lambada_openai`, which come from the documents themselves, may show a document its own"
            + " answer"),
    /**
     * The start token that the tokenizer puts before a page is scored, following another start token. Wikitext has
     * this.
     */
    SCORED_BOS("the start token that a tokenizer puts before a page of `wikitext` is scored too");

    private final String text;

    Quirk(String text) {
        this.text = text;
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Choices<Quirk> choices() {
        return Choices.of(values(), Quirk::label, quirk -> quirk.text);
    }
}
