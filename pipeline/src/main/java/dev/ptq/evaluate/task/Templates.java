package dev.ptq.evaluate.task;

import java.util.List;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ObjectNode;

/**
 * The templates for several texts of a document.
 *
 * @param each a template for each, or a single one for a field that holds all of them
 * @param oneField whether it is the latter
 */
record Templates(List<Template> each, boolean oneField) {
    static Templates none() {
        return new Templates(List.of(), false);
    }

    /** See {@link Template#text}. */
    List<String> texts(ObjectNode document) {
        return oneField
                ? each.get(0).texts(document)
                : each.stream().map(template -> template.text(document)).toList();
    }

    /** Returns the templates as written. */
    Object source() {
        List<String> sources = each.stream().map(Template::source).collect(Collectors.toList());
        return oneField ? sources.get(0) : sources;
    }
}
