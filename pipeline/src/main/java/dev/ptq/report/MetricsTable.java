package dev.ptq.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** The metrics of one run as tables for a terminal. */
public final class MetricsTable {
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
            text.append(TextTable.render(perplexities(metrics, texts), Set.of(0)));
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
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {
            "perplexity", "full precision", "round to nearest", "this run", "loss recovered", "protocol", "tokens"
        });
        for (String name : texts) {
            String key = "perplexity/" + name;
            rows.add(new String[] {
                name,
                number(metrics, "full_precision/" + key, "%.4f"),
                number(metrics, "round_to_nearest/" + key, "%.4f"),
                number(metrics, key, "%.4f"),
                number(metrics, "loss_recovered/" + name, "%.3f"),
                metrics.get(key + "/protocol") + " " + metrics.get(key + "/seq_len"),
                String.valueOf(metrics.get(key + "/tokens"))
            });
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
            for (String variant : List.of("round_to_nearest/", "")) {
                String key = variant + "perplexity/" + name;
                if (metrics.get(key + "/top1_agreement") instanceof Number share) {
                    rows.add(new String[] {
                        name + ", " + (variant.isEmpty() ? "this run" : "round to nearest"),
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

    private static String number(Map<String, Object> metrics, String key, String format) {
        return metrics.get(key) instanceof Number value ? String.format(Locale.ROOT, format, value.doubleValue()) : "-";
    }
}
