package dev.ptq.evaluate.task;

import java.util.List;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Writes results in the layout of the EleutherAI harness, version 0.4. */
final class HarnessJson {
    private HarnessJson() {}

    static ObjectNode of(TaskResults results, ObjectNode config, ObjectNode identity) {
        TasksSettings settings = results.settings();
        ObjectNode content = JsonMapper.shared().createObjectNode();
        ObjectNode scores = content.putObject("results");
        ObjectNode groups = JsonMapper.shared().createObjectNode();
        ObjectNode subtasks = content.putObject("group_subtasks");
        ObjectNode configs = content.putObject("configs");
        ObjectNode versions = content.putObject("versions");
        ObjectNode shots = content.putObject("n-shot");
        ObjectNode better = content.putObject("higher_is_better");
        ObjectNode samples = content.putObject("n-samples");
        ObjectNode hashes = JsonMapper.shared().createObjectNode();
        results.measured().forEach(one -> addScores(one, 0, settings.profile(), scores, groups));
        for (TaskResult one : results.all()) {
            String name = one.node().name();
            ObjectNode own = better.putObject(name);
            one.values().keySet().forEach(metric -> own.put(metric.label(settings.profile()), metric.higherIsBetter()));
            if (one.node() instanceof TaskGroup group) {
                versions.put(name, group.version());
                ArrayNode names = subtasks.putArray(name);
                group.members().forEach(member -> names.add(member.name()));
            } else if (one.node() instanceof Task task) {
                versions.put(name, task.version());
                shots.put(name, settings.numFewshot());
                samples.putObject(name).put("original", one.available()).put("effective", one.documents());
                hashes.put(name, one.hash());
                configs.set(name, config(task, settings));
            }
        }
        if (!groups.isEmpty()) {
            content.set("groups", groups);
        }
        ObjectNode all = content.putObject("config");
        all.setAll(config);
        run(all, settings);
        content.set("task_hashes", hashes);
        content.setAll(identity);
        return content;
    }

    private static void run(ObjectNode config, TasksSettings settings) {
        config.put("profile", settings.profile().label());
        config.put("batch_size", settings.batchSize());
        config.putArray("batch_sizes");
        config.putNull("use_cache");
        if (settings.limit().isPresent()) {
            config.put("limit", settings.limit().getAsDouble());
        } else {
            config.putNull("limit");
        }
        config.put("bootstrap_iters", settings.bootstrap());
        config.putObject("gen_kwargs");
        for (String seed : List.of("random_seed", "numpy_seed", "torch_seed")) {
            config.putNull(seed);
        }
        config.put("fewshot_seed", settings.usedSeed());
        settings.addBos()
                .ifPresentOrElse(add -> config.put("add_bos_token", add), () -> config.putNull("add_bos_token"));
        ArrayNode quirks = config.putArray("quirks");
        settings.quirks().forEach(quirk -> quirks.add(quirk.label()));
    }

    private static void addScores(TaskResult one, int depth, Profile profile, ObjectNode results, ObjectNode groups) {
        String name = one.node().name();
        ObjectNode scores = results.putObject(name);
        scores.put("name", name);
        scores.put("alias", alias(one.node(), depth));
        scores.put("sample_len", one.documents());
        one.values().forEach((metric, value) -> {
            String label = metric.label(profile);
            scores.put(label + ",none", value.value());
            if (value.error().isPresent()) {
                scores.put(label + "_stderr,none", value.error().getAsDouble());
            } else {
                scores.put(label + "_stderr,none", "N/A");
            }
        });
        if (one.node() instanceof TaskGroup) {
            groups.set(name, scores.deepCopy().put("sample_count", one.documents()));
        }
        one.members().forEach(member -> addScores(member, depth + 1, profile, results, groups));
    }

    /** Returns the name in tables: members are indented and lose their common prefix. */
    static String alias(TaskNode node, int depth) {
        String common = node.tasks().get(0).folder() + "_";
        return depth == 0 ? node.name() : " ".repeat(depth) + "- " + node.name().replaceFirst("^" + common, "");
    }

    private static ObjectNode config(Task task, TasksSettings settings) {
        ObjectNode config = JsonMapper.shared().createObjectNode();
        PromptTemplate wording = task.wording();
        config.put("task", task.name());
        config.put("dataset_path", task.source().dataset());
        if (!task.source().config().isEmpty()) {
            config.put("dataset_name", task.source().config());
        }
        for (String split : List.of("train", "validation", "test")) {
            if (task.splits().containsKey(split)) {
                config.put((split.equals("train") ? "training" : split) + "_split", split);
            }
        }
        task.fewshot().ifPresent(split -> config.put("fewshot_split", split));
        config.put("doc_to_text", wording.question().source());
        config.put(
                "doc_to_target",
                task.scoring() == Scoring.MULTIPLE_CHOICE
                        ? wording.gold().source()
                        : wording.target().source());
        if (task.scoring().hasChoices()) {
            config.set(
                    "doc_to_choice",
                    JsonMapper.shared().valueToTree(wording.choices().source()));
        }
        config.put("description", wording.description().source());
        config.put("target_delimiter", wording.delimiter());
        config.put("fewshot_delimiter", PromptTemplate.EXAMPLE_DELIMITER);
        config.put("num_fewshot", settings.numFewshot());
        ArrayNode metrics = config.putArray("metric_list");
        for (TaskMetric metric : task.metrics()) {
            metrics.addObject()
                    .put("metric", metric.label(settings.profile()))
                    .put("higher_is_better", metric.higherIsBetter());
        }
        config.put("output_type", task.scoring().outputType());
        config.put("repeats", 1);
        config.putObject("metadata").put("version", task.version());
        return config;
    }
}
