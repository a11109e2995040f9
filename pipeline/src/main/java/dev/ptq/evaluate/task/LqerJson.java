package dev.ptq.evaluate.task;

import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes results in the layout of version 0.3 of the harness, which LQER's tools read. */
final class LqerJson {
    private LqerJson() {}

    static ObjectNode of(TaskResults results, String model) {
        TasksSettings settings = results.settings();
        ObjectNode content = JsonMapper.shared().createObjectNode();
        ObjectNode scores = content.putObject("results");
        ObjectNode versions = content.putObject("versions");
        for (TaskResult one : results.all()) {
            ObjectNode own = scores.putObject(one.node().name());
            one.values().forEach((metric, value) -> {
                String label = metric.label(Profile.LQER);
                own.put(label, value.value());
                value.error().ifPresent(error -> own.put(label + "_stderr", error));
            });
            if (one.node() instanceof Task task) {
                versions.put(task.name(), task.version());
            }
        }
        ObjectNode config = content.putObject("config");
        config.put("model", model);
        config.putNull("model_args");
        config.put("num_fewshot", settings.numFewshot());
        config.put("batch_size", settings.batchSize());
        config.putArray("batch_sizes");
        config.putNull("device");
        config.put("no_cache", true);
        if (settings.limit().isPresent()) {
            config.put("limit", settings.limit().getAsDouble());
        } else {
            config.putNull("limit");
        }
        config.put("bootstrap_iters", settings.bootstrap());
        config.putNull("description_dict");
        return content;
    }
}
