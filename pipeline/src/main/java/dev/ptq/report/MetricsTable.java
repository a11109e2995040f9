package dev.ptq.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** The metrics of one run as tables for a terminal. */
public final class MetricsTable {
    /** What was adapted to the text itself is never shown without a mark. */
    private static final String ADAPTED = "adapted *";

    /** Variants that are compared with full precision: what their metrics start with, what they are called. */
    private static final Map<String, String> COMPARED = new LinkedHashMap<>();

    static {
        COMPARED.put("round_to_nearest/", "round to nearest");
        COMPARED.put("", "this run");
        COMPARED.put("adapted/", ADAPTED);
    }

    private MetricsTable() {}

    /**
     * Renders flat metrics: a row for each text with all variants side by side, then what separates the variants with
     * intervals, text by text, then what does not belong to a text.
     */
    public static String render(Map<String, Object> metrics) {
        List<String> texts = metrics.keySet().stream()
                .filter(key -> key.startsWith("perplexity/"))
                .map(key -> key.substring(key.indexOf('/') + 1))
                .filter(name -> name.indexOf('/') < 0)
                .toList();
        StringBuilder text = new StringBuilder();
        if (!texts.isEmpty()) {
            List<String[]> perplexities = perplexities(metrics, texts);
            text.append(TextTable.render(perplexities, Set.of(0, perplexities.get(0).length - 1)));
            notes(metrics, texts).forEach(note -> text.append("* ").append(note).append(System.lineSeparator()));
            List<String[]> measures = measures(metrics, texts);
            if (measures.size() > 1) {
                text.append(System.lineSeparator()).append(TextTable.render(measures, Set.of(0)));
            }
        }
        List<String[]> differences = differences(metrics, texts);
        if (differences.size() > 1) {
            text.append(System.lineSeparator());
            text.append(TextTable.render(differences, Set.of(0)));
            text.append("intervals: paired bootstrap over chunks; loss in nats per token")
                    .append(System.lineSeparator())
                    .append(System.lineSeparator());
        }
        List<String[]> divergences = divergences(metrics, texts);
        if (divergences.size() > 1) {
            text.append(TextTable.render(divergences, Set.of(0))).append(System.lineSeparator());
        }
        List<String[]> tasks = tasks(metrics);
        if (tasks.size() > 1) {
            text.append(TextTable.render(tasks, Set.of(0, 1))).append(System.lineSeparator());
        }
        text.append(String.format(Locale.ROOT, "bits per weight: %s%n", number(metrics, "bits_per_weight", "%.3f")));
        return text.toString();
    }

    private static List<String[]> perplexities(Map<String, Object> metrics, List<String> texts) {
        boolean adapted = texts.stream().anyMatch(name -> metrics.containsKey("adapted/perplexity/" + name));
        List<String[]> rows = new ArrayList<>();
        List<String> header = new ArrayList<>(List.of(
                "perplexity",
                "full precision",
                "round to nearest",
                "this run",
                "loss recovered",
                "protocol",
                "tokens",
                "BOS",
                "text"));
        if (adapted) {
            header.add(4, ADAPTED);
        }
        rows.add(header.toArray(String[]::new));
        for (String name : texts) {
            String key = "perplexity/" + name;
            List<String> row = new ArrayList<>(List.of(
                    name,
                    number(metrics, "full_precision/" + key, "%.4f"),
                    number(metrics, "round_to_nearest/" + key, "%.4f"),
                    number(metrics, key, "%.4f"),
                    number(metrics, "loss_recovered/" + name, "%.3f"),
                    metrics.get(key + "/protocol") + " " + metrics.get(key + "/seq_len"),
                    String.valueOf(metrics.get(key + "/tokens")),
                    word(metrics, key + "/bos"),
                    word(metrics, key + "/dataset")));
            if (adapted) {
                row.add(4, number(metrics, "adapted/" + key, "%.4f"));
            }
            rows.add(row.toArray(String[]::new));
        }
        return rows;
    }

    /** What is to be said of figures with a mark. */
    private static List<String> notes(Map<String, Object> metrics, List<String> texts) {
        return texts.stream()
                .map(name -> word(metrics, "adapted/perplexity/" + name + "/note"))
                .filter(note -> !note.equals("-"))
                .distinct()
                .toList();
    }

    /** What does not depend on the tokenizer, where a protocol gives it. */
    private static List<String[]> measures(Map<String, Object> metrics, List<String> texts) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"by word and byte", "full precision", "round to nearest", "this run"});
        for (String name : texts) {
            for (String measure : List.of("word_perplexity", "byte_perplexity", "bits_per_byte")) {
                String key = "perplexity/" + name + "/" + measure;
                if (metrics.containsKey(key)) {
                    rows.add(new String[] {
                        name + ", " + measure.replace('_', ' '),
                        number(metrics, "full_precision/" + key, "%.4f"),
                        number(metrics, "round_to_nearest/" + key, "%.4f"),
                        number(metrics, key, "%.4f")
                    });
                }
            }
        }
        return rows;
    }

    /** A header, and for each text that has any a line of its own and the differences between its variants. */
    private static List<String[]> differences(Map<String, Object> metrics, List<String> texts) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"difference in", "loss", "95 % interval", "perplexity", ""});
        for (String name : texts) {
            String own = "perplexity/" + name;
            List<String[]> found = new ArrayList<>();
            difference(
                    found,
                    metrics,
                    "round to nearest over full precision",
                    "round_to_nearest/" + own + "/loss_over/full_precision");
            difference(found, metrics, "this run over full precision", own + "/loss_over/full_precision");
            difference(found, metrics, "this run over round to nearest", own + "/loss_over/round_to_nearest");
            difference(
                    found, metrics, ADAPTED + " over full precision", "adapted/" + own + "/loss_over/full_precision");
            difference(found, metrics, ADAPTED + " over this run", "adapted/" + own + "/loss_over/quantized");
            if (!found.isEmpty()) {
                String chunks = number(metrics, own + "/chunks", "%.0f");
                rows.add(new String[] {name + ", " + chunks + (chunks.equals("1") ? " chunk" : " chunks")});
                rows.addAll(found);
                String share = "loss_recovered/" + name;
                if (metrics.containsKey(share)) {
                    rows.add(row(metrics, "loss recovered", share, "%.3f", ""));
                }
            }
        }
        return rows;
    }

    /** How the predictions of each variant differ from those in full precision, where that was asked for. */
    private static List<String[]> divergences(Map<String, Object> metrics, List<String> texts) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"against full precision", "KL divergence", "top-1 agreement"});
        for (String name : texts) {
            for (Map.Entry<String, String> variant : COMPARED.entrySet()) {
                String key = variant.getKey() + "perplexity/" + name;
                if (metrics.get(key + "/top1_agreement") instanceof Number share) {
                    rows.add(new String[] {
                        name + ", " + variant.getValue(),
                        number(metrics, key + "/kl_divergence", "%.5f"),
                        String.format(Locale.ROOT, "%.2f %%", 100 * share.doubleValue())
                    });
                }
            }
        }
        return rows;
    }

    /** A row for each metric of each task or group that was asked for by name. */
    private static List<String[]> tasks(Map<String, Object> metrics) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {
            "task",
            "metric",
            "full precision",
            "round to nearest",
            "this run",
            "standard error",
            "flips",
            "shots",
            "documents"
        });
        for (String task : metrics.keySet()) {
            if (!task.endsWith("/num_fewshot") || task.indexOf('/') != task.lastIndexOf('/')) {
                continue;
            }
            String name = task.substring(0, task.indexOf('/') + 1);
            for (String key : metrics.keySet()) {
                String metric = key.startsWith(name) ? key.substring(name.length()) : "";
                if (Measures.better(key) == Measures.Better.NEITHER || metric.isEmpty() || metric.indexOf('/') >= 0) {
                    continue;
                }
                boolean accuracy = metric.equals("acc");
                rows.add(new String[] {
                    name.substring(0, name.length() - 1),
                    metric,
                    number(metrics, "full_precision/" + key, "%.4f"),
                    number(metrics, "round_to_nearest/" + key, "%.4f"),
                    number(metrics, key, "%.4f"),
                    number(metrics, key + "_stderr", "%.4f"),
                    accuracy ? number(metrics, name + "flips/full_precision", "%.3f") : "-",
                    number(metrics, task, "%.0f"),
                    number(metrics, name + "documents", "%.0f")
                });
            }
        }
        return rows;
    }

    private static void difference(List<String[]> rows, Map<String, Object> metrics, String label, String key) {
        if (metrics.get(key) instanceof Number nats) {
            // the ratio of two perplexities is the exponential of the difference of their losses
            String percent = String.format(Locale.ROOT, "%+.2f %%", 100 * Math.expm1(nats.doubleValue()));
            rows.add(row(metrics, label, key, "%+.4f", percent));
        }
    }

    private static String[] row(Map<String, Object> metrics, String label, String key, String format, String percent) {
        String interval = "-";
        String remark = "";
        if (metrics.get(key + "/low") instanceof Number low && metrics.get(key + "/high") instanceof Number high) {
            interval = String.format(
                    Locale.ROOT, "[" + format + ", " + format + "]", low.doubleValue(), high.doubleValue());
            remark = low.doubleValue() <= 0 && high.doubleValue() >= 0 ? "no difference shown" : "";
        }
        return new String[] {"  " + label, number(metrics, key, format), interval, percent, remark};
    }

    private static String word(Map<String, Object> metrics, String key) {
        return metrics.get(key) instanceof String word ? word : "-";
    }

    private static String number(Map<String, Object> metrics, String key, String format) {
        return metrics.get(key) instanceof Number value ? String.format(Locale.ROOT, format, value.doubleValue()) : "-";
    }
}
