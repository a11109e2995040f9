package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The templates for the texts of a document.
 *
 * @param derived fields that a document gets first, in this order
 * @param description the text before examples and question
 * @param choices the answers, or the texts before the target
 * @param target the scored text, unless it is a choice
 * @param counted whose words and bytes a perplexity is taken over
 * @param gold the right choice: its index, or its label
 * @param labels of the choices; none if the index is given
 * @param answerIsText whether results name the right choice by its text, not its index
 * @param delimiter between question and answer
 */
record PromptTemplate(
        List<Derived> derived,
        Template description,
        Template question,
        Templates choices,
        Template target,
        Template counted,
        Template gold,
        Templates labels,
        boolean answerIsText,
        String delimiter) {
    /** Separates an example from the text after it. */
    static final String EXAMPLE_DELIMITER = "\n\n";

    /** A field derived for a document. */
    record Derived(String field, Kind kind, Template template) {
        enum Kind {
            TEXT,
            TEXTS,
            NUMBER
        }

        void addTo(ObjectNode document) {
            switch (kind) {
                case TEXT -> document.put(field, template.text(document));
                case TEXTS -> {
                    List<String> texts = template.texts(document);
                    ArrayNode list = document.putArray(field);
                    texts.forEach(list::add);
                }
                case NUMBER -> {
                    String text = template.text(document);
                    if (!text.matches("-?[0-9]{1,9}")) {
                        throw new ConfigException(
                                "expected a whole number for " + template.source() + ", got \"" + text + "\"");
                    }
                    document.put(field, Integer.parseInt(text));
                }
            }
        }
    }
}
