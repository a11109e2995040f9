package dev.ptq.evaluate.task;

import dev.ptq.evaluate.PythonText;
import dev.ptq.evaluate.Score;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import tools.jackson.databind.node.ObjectNode;

/** A way to present a document to a model and to judge its answer. */
enum Scoring {
    /** Several answers to one question. */
    MULTIPLE_CHOICE("multiple_choice") {
        @Override
        List<TextRequest> asked(PromptTemplate wording, ObjectNode fields, String before, List<String> choices) {
            String context = before + wording.question().text(fields);
            return choices.stream()
                    .map(choice -> new TextRequest(context, wording.delimiter() + choice))
                    .toList();
        }

        @Override
        String example(PromptTemplate wording, ObjectNode fields, String right) {
            return wording.question().text(fields) + wording.delimiter() + right;
        }

        @Override
        String target(PromptTemplate wording, ObjectNode fields, String right, int gold) {
            return wording.answerIsText() ? right : String.valueOf(gold);
        }
    },
    /** Several contexts for one continuation. */
    CHOICE_OF_CONTEXT("multiple_choice") {
        @Override
        List<TextRequest> asked(PromptTemplate wording, ObjectNode fields, String before, List<String> choices) {
            String continuation = wording.delimiter() + wording.target().text(fields);
            return choices.stream()
                    .map(choice -> new TextRequest(before + choice, continuation))
                    .toList();
        }

        @Override
        String example(PromptTemplate wording, ObjectNode fields, String right) {
            return right + wording.delimiter() + wording.target().text(fields);
        }

        @Override
        String target(PromptTemplate wording, ObjectNode fields, String right, int gold) {
            return wording.target().text(fields);
        }
    },
    /** One text expected to follow; it starts with its own space. */
    CONTINUATION("loglikelihood") {
        @Override
        List<TextRequest> asked(PromptTemplate wording, ObjectNode fields, String before, List<String> choices) {
            return List.of(new TextRequest(
                    before + wording.question().text(fields), wording.target().text(fields)));
        }

        @Override
        String example(PromptTemplate wording, ObjectNode fields, String right) {
            return wording.question().text(fields)
                    + wording.delimiter()
                    + wording.target().text(fields);
        }

        @Override
        String target(PromptTemplate wording, ObjectNode fields, String right, int gold) {
            return wording.target().text(fields);
        }
    },
    /** A whole text, window by window. */
    ROLLING("loglikelihood_rolling") {
        @Override
        List<TextRequest> asked(PromptTemplate wording, ObjectNode fields, String before, List<String> choices) {
            return List.of(new TextRequest("", wording.target().text(fields)));
        }

        @Override
        String example(PromptTemplate wording, ObjectNode fields, String right) {
            throw new IllegalStateException("a whole text has no examples");
        }

        @Override
        String target(PromptTemplate wording, ObjectNode fields, String right, int gold) {
            return wording.target().text(fields);
        }
    };

    private final String outputType;

    Scoring(String outputType) {
        this.outputType = outputType;
    }

    /** Returns the harness's word for it. */
    String outputType() {
        return outputType;
    }

    boolean hasChoices() {
        return this == MULTIPLE_CHOICE || this == CHOICE_OF_CONTEXT;
    }

    /**
     * Returns the requests for a document.
     *
     * @param before the description and the examples
     */
    abstract List<TextRequest> asked(PromptTemplate wording, ObjectNode fields, String before, List<String> choices);

    /**
     * Returns a document with its answer, as an example.
     *
     * @param right the right choice
     */
    abstract String example(PromptTemplate wording, ObjectNode fields, String right);

    /** Returns the right answer for results. */
    abstract String target(PromptTemplate wording, ObjectNode fields, String right, int gold);

    /** Returns the texts of a request for results. */
    List<String> arguments(TextRequest asked) {
        return this == ROLLING ? List.of(asked.continuation()) : List.of(asked.context(), asked.continuation());
    }

    /** Returns the scores per request text: a whole text gets the sum over its windows. */
    List<Score> scores(List<Score> requests) {
        if (this != ROLLING) {
            return List.copyOf(requests);
        }
        return List.of(
                new Score(requests.stream().mapToDouble(Score::logLikelihood).sum(), false));
    }

    /** Returns the value of a metric for one document. */
    double item(TaskMetric metric, Document document, List<Score> scores) {
        return switch (metric) {
            case ACC ->
                hasChoices()
                        ? accuracy(document, scores, choice -> 1)
                        : scores.get(0).greedy() ? 1 : 0;
            case ACC_NORM -> accuracy(document, scores, PythonText::characters);
            case ACC_BYTES -> accuracy(document, scores, Scoring::bytes);
            case PERPLEXITY, WORD_PERPLEXITY, BYTE_PERPLEXITY, BITS_PER_BYTE ->
                scores.get(0).logLikelihood();
        };
    }

    /** Returns the divisor of that value. */
    static double weight(TaskMetric metric, Document document) {
        return switch (metric) {
            case WORD_PERPLEXITY -> PythonText.words(document.counted());
            case BYTE_PERPLEXITY, BITS_PER_BYTE -> bytes(document.counted());
            case ACC, ACC_NORM, ACC_BYTES, PERPLEXITY -> 1;
        };
    }

    private static double bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    /** Returns 1 if the choice with the highest log-likelihood for its length, the first if tied, is the right one. */
    private static double accuracy(Document document, List<Score> scores, ToDoubleFunction<String> length) {
        double[] values = IntStream.range(0, scores.size())
                .mapToDouble(i -> scores.get(i).logLikelihood()
                        / length.applyAsDouble(document.choices().get(i)))
                .toArray();
        return best(values) == document.gold() ? 1 : 0;
    }

    private static int best(double[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }
}
