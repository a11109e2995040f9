package dev.ptq.evaluate.task;

import dev.ptq.evaluate.Score;
import java.util.List;

/**
 * A document and what a model says of it.
 *
 * @param scores one for each of {@link Document#asked}
 */
record ScoredDocument(Document document, List<Score> scores) {
    /** What a metric says of it. */
    double item(TaskMetric metric) {
        return document.task().scoring().item(metric, document, scores);
    }

    /** What that is divided by. */
    double weight(TaskMetric metric) {
        return Scoring.weight(metric, document);
    }
}
