package dev.ptq.evaluate.task;

import dev.ptq.evaluate.Score;
import java.util.List;

/**
 * A document with its scores.
 *
 * @param scores one for each of {@link Document#asked}
 */
record ScoredDocument(Document document, List<Score> scores) {
    /** Returns the value of a metric for this document. */
    double item(TaskMetric metric) {
        return document.task().scoring().item(metric, document, scores);
    }

    /** Returns the divisor of that value. */
    double weight(TaskMetric metric) {
        return Scoring.weight(metric, document);
    }
}
