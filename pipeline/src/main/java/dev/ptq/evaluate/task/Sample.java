package dev.ptq.evaluate.task;

import dev.ptq.artifact.RunFiles;
import dev.ptq.data.Digests;
import dev.ptq.evaluate.PythonText;
import dev.ptq.evaluate.Score;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A document's line in the layout of the harness's sample log. */
final class Sample {
    private static final JsonMapper JSON = JsonMapper.shared();

    private Sample() {}

    /** Returns the name of the file with the lines of a task. */
    static String file(Task task) {
        return RunFiles.samples(task.name());
    }

    /** Returns the line, without its end. */
    static String line(ScoredDocument answered, Profile profile) {
        Document document = answered.document();
        Task task = document.task();
        ObjectNode line = JSON.createObjectNode();
        line.put("doc_id", document.id());
        line.set("doc", document.fields());
        line.put("target", document.target());
        ObjectNode arguments = line.putObject("arguments");
        for (int i = 0; i < document.asked().size(); i++) {
            List<String> texts = task.scoring().arguments(document.asked().get(i));
            ObjectNode argument = arguments.putObject("gen_args_" + i);
            for (int k = 0; k < texts.size(); k++) {
                argument.put("arg_" + k, texts.get(k));
            }
        }
        ArrayNode responses = line.putArray("resps");
        ArrayNode filtered = line.putArray("filtered_resps");
        for (Score score : answered.scores()) {
            JsonNode response = response(score, task.scoring());
            responses.addArray().add(response);
            filtered.add(response);
        }
        line.put("filter", "none");
        ArrayNode names = line.putArray("metrics");
        task.metrics().forEach(metric -> names.add(metric.label(profile)));
        Hashes hashes = hashes(document);
        line.put("doc_hash", hashes.document());
        line.put("prompt_hash", hashes.prompt());
        line.put("target_hash", hashes.target());
        for (TaskMetric metric : task.metrics()) {
            if (metric.isWeighted()) {
                line.putArray(metric.label(profile)).add(answered.item(metric)).add(answered.weight(metric));
            } else {
                line.put(metric.label(profile), answered.item(metric));
            }
        }
        return JSON.writeValueAsString(line);
    }

    private static JsonNode response(Score score, Scoring scoring) {
        String logLikelihood = PythonText.number(score.logLikelihood());
        if (scoring == Scoring.ROLLING) {
            return JSON.getNodeFactory().stringNode(logLikelihood);
        }
        return JSON.createArrayNode().add(logLikelihood).add(score.greedy() ? "True" : "False");
    }

    /** Returns the document with the scores in a line, if they give exactly that line. */
    static Optional<ScoredDocument> read(String line, Document document, Profile profile) {
        try {
            List<Score> scores = new ArrayList<>();
            for (JsonNode response : JSON.readTree(line).path("filtered_resps")) {
                scores.add(
                        response.isArray()
                                ? new Score(
                                        Double.parseDouble(response.path(0).asString()),
                                        response.path(1).asString().equals("True"))
                                : new Score(Double.parseDouble(response.asString()), false));
            }
            ScoredDocument answered = new ScoredDocument(document, scores);
            boolean complete = scores.size() == document.asked().size();
            return complete && line(answered, profile).equals(line) ? Optional.of(answered) : Optional.empty();
        } catch (JacksonException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    /** The hashes by which the harness tells whether two runs asked the same. */
    record Hashes(String document, String prompt, String target) {
        String joined() {
            return document + prompt + target;
        }
    }

    static Hashes hashes(Document document) {
        TextRequest first = document.asked().get(0);
        return new Hashes(
                Digests.hexOfText(PythonText.json(document.fields())),
                Digests.hexOfText(document.task().scoring().arguments(first).get(0)),
                Digests.hexOfText(document.target()));
    }
}
