package dev.ptq.evaluate.task;

import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * A document as presented to a model.
 *
 * @param id the number in the order of evaluation, from 0
 * @param place the file and line, for messages
 * @param fields including those that the task derives
 * @param asked in the order of the choices
 * @param choices the texts whose lengths accuracies use
 * @param gold the index of the right one; 0 if there are no choices
 * @param target the right answer in results
 * @param counted the text whose words and bytes a perplexity is taken over
 */
record Document(
        Task task,
        int id,
        String place,
        ObjectNode fields,
        List<TextRequest> asked,
        List<String> choices,
        int gold,
        String target,
        String counted) {
    /** Returns the name in messages. */
    String label() {
        return place + ": " + task.name() + ", document " + id;
    }
}
