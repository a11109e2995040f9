package dev.ptq.evaluate.task;

import dev.ptq.data.Row;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Documents in memory, by task and split. */
final class TaskRows implements TaskData {
    private final Map<String, List<Row>> rows = new HashMap<>();

    TaskRows put(String task, String split, Iterable<? extends JsonNode> documents) {
        List<Row> own = new ArrayList<>();
        for (JsonNode document : documents) {
            own.add(new Row((ObjectNode) document, task + "/" + split + ":" + (own.size() + 1)));
        }
        rows.put(task + "/" + split, own);
        return this;
    }

    @Override
    public List<Row> rows(Task task, String split) {
        return rows.getOrDefault(task.name() + "/" + split, List.of());
    }

    @Override
    public String sha256(Task task, String split) {
        return "";
    }
}
