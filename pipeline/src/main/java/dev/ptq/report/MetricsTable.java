package dev.ptq.report;

import dev.ptq.artifact.Direction;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.TaskCondition;
import dev.ptq.artifact.TextCondition;
import dev.ptq.artifact.Unit;
import dev.ptq.artifact.Variant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** The metrics of one run as tables for a terminal. */
public final class MetricsTable {
    private static final List<Variant> BASELINES_AND_RUN =
            List.of(Variant.FULL_PRECISION, Variant.ROUND_TO_NEAREST, Variant.QUANTIZED);

    private final Map<MetricName, Object> metrics;
    private final List<String> texts;

    private MetricsTable(Map<MetricName, Object> metrics) {
        this.metrics = metrics;
        this.texts = MetricName.texts(metrics.keySet());
    }

    /**
     * Renders metrics: a row for each text with all variants side by side, then the differences between variants with
     * intervals, text by text, then the metrics that belong to no text.
     */
    public static String render(Map<MetricName, Object> metrics) {
        return new MetricsTable(metrics).render();
    }

    private String render() {
        StringBuilder text = new StringBuilder();
        if (!texts.isEmpty()) {
            List<String[]> perplexities = perplexities();
            text.append(TextTable.render(perplexities, Set.of(0, perplexities.get(0).length - 1)));
            notes().forEach(note -> text.append("* ").append(note).append(System.lineSeparator()));
            append(text, measures("by token", Metric.Basis.TOKENS));
            append(text, measures("by word and byte", Metric.Basis.WORDS_AND_BYTES));
            append(text, measures("cache", Metric.Basis.CACHE));
        }
        List<String[]> differences = differences();
        if (differences.size() > 1) {
            append(text, differences);
            text.append("intervals: paired bootstrap over chunks; loss in nats per token")
                    .append(System.lineSeparator())
                    .append(System.lineSeparator());
        }
        List<String[]> divergences = divergences();
        if (divergences.size() > 1) {
            text.append(TextTable.render(divergences, Set.of(0))).append(System.lineSeparator());
        }
        List<String[]> tasks = tasks();
        if (tasks.size() > 1) {
            text.append(TextTable.render(tasks, Set.of(0, 1))).append(System.lineSeparator());
        }
        text.append(String.format(
                Locale.ROOT,
                "bits per weight: %s%n",
                number(new MetricName.OfWeights(Metric.BITS_PER_WEIGHT), "%.3f")));
        if (metrics.containsKey(new MetricName.OfWeights(Metric.CHECKPOINT_BYTES))) {
            text.append(String.format(
                    Locale.ROOT,
                    "size on disk: %s bytes%n",
                    number(new MetricName.OfWeights(Metric.CHECKPOINT_BYTES), "%.4g")));
        }
        if (metrics.containsKey(new MetricName.OfWeights(Metric.BOPS_PER_TOKEN))) {
            text.append(String.format(
                    Locale.ROOT,
                    "for a token that sees %s: %s bit operations, %s bytes%n",
                    number(new MetricName.OfWeights(Metric.COST_CONTEXT), "%.0f"),
                    number(new MetricName.OfWeights(Metric.BOPS_PER_TOKEN), "%.4g"),
                    number(new MetricName.OfWeights(Metric.BYTES_PER_TOKEN), "%.4g")));
        }
        return text.toString();
    }

    /** Adds a table after an empty line, if it has rows below its header. */
    private static void append(StringBuilder text, List<String[]> rows) {
        if (rows.size() > 1) {
            text.append(System.lineSeparator()).append(TextTable.render(rows, Set.of(0)));
        }
    }

    /** The title of a variant; a result adapted to the text itself always carries a mark. */
    private static String title(Variant variant) {
        return switch (variant) {
            case FULL_PRECISION -> "full precision";
            case ROUND_TO_NEAREST -> "round to nearest";
            case QUANTIZED -> "this run";
            case ADAPTED -> "adapted *";
        };
    }

    private List<String[]> perplexities() {
        boolean adapted = texts.stream().anyMatch(text -> has(Variant.ADAPTED, text, Metric.PERPLEXITY));
        List<Variant> variants = adapted ? List.of(Variant.values()) : BASELINES_AND_RUN;
        List<String[]> rows = new ArrayList<>();
        List<String> header = new ArrayList<>(List.of(Metric.PERPLEXITY.title()));
        variants.forEach(variant -> header.add(title(variant)));
        header.addAll(List.of(Metric.LOSS_RECOVERED.title(), "protocol", "tokens", "BOS", "text"));
        rows.add(header.toArray(String[]::new));
        for (String text : texts) {
            List<String> row = new ArrayList<>(List.of(text));
            variants.forEach(variant -> row.add(number(variant, text, Metric.PERPLEXITY)));
            row.add(number(new MetricName.LossRecovered(text), "%.3f"));
            row.add(condition(text, TextCondition.PROTOCOL) + " " + condition(text, TextCondition.SEQ_LEN));
            row.add(condition(text, TextCondition.TOKENS));
            row.add(word(new MetricName.Condition(text, TextCondition.BOS)));
            row.add(word(new MetricName.Condition(text, TextCondition.DATASET)));
            rows.add(row.toArray(String[]::new));
        }
        return rows;
    }

    /** Notes on marked figures. */
    private List<String> notes() {
        return texts.stream()
                .flatMap(text -> Stream.of(Variant.ADAPTED, Variant.QUANTIZED)
                        .map(variant -> word(new MetricName.Condition(variant, text, TextCondition.NOTE))))
                .filter(note -> !note.equals("-"))
                .distinct()
                .toList();
    }

    /** A row for each text and each metric of a kind that it has; perplexity and loss have tables of their own. */
    private List<String[]> measures(String title, Metric.Basis basis) {
        List<String[]> rows = new ArrayList<>();
        List<String> header = new ArrayList<>(List.of(title));
        BASELINES_AND_RUN.forEach(variant -> header.add(title(variant)));
        rows.add(header.toArray(String[]::new));
        for (String text : texts) {
            for (Metric metric : metrics(basis)) {
                if (metric != Metric.PERPLEXITY && metric != Metric.LOSS && has(Variant.QUANTIZED, text, metric)) {
                    List<String> row = new ArrayList<>(List.of(text + ", " + metric.title()));
                    BASELINES_AND_RUN.forEach(variant -> row.add(number(variant, text, metric)));
                    rows.add(row.toArray(String[]::new));
                }
            }
        }
        return rows;
    }

    private static List<Metric> metrics(Metric.Basis basis) {
        return Arrays.stream(Metric.values())
                .filter(metric -> metric.basis() == basis)
                .toList();
    }

    /** A header, then for each text with differences a line with its name and the differences between its variants. */
    private List<String[]> differences() {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"difference in", "loss", "95 % interval", "perplexity", ""});
        for (String text : texts) {
            List<String[]> found = new ArrayList<>();
            difference(found, text, Variant.ROUND_TO_NEAREST, Variant.FULL_PRECISION);
            difference(found, text, Variant.QUANTIZED, Variant.FULL_PRECISION);
            difference(found, text, Variant.QUANTIZED, Variant.ROUND_TO_NEAREST);
            difference(found, text, Variant.ADAPTED, Variant.FULL_PRECISION);
            difference(found, text, Variant.ADAPTED, Variant.QUANTIZED);
            if (!found.isEmpty()) {
                String chunks = number(new MetricName.Condition(text, TextCondition.CHUNKS), "%.0f");
                rows.add(new String[] {text + ", " + chunks + (chunks.equals("1") ? " chunk" : " chunks")});
                rows.addAll(found);
                MetricName share = new MetricName.LossRecovered(text);
                if (metrics.containsKey(share)) {
                    rows.add(row(Metric.LOSS_RECOVERED.title(), share, "%.3f", ""));
                }
            }
        }
        return rows;
    }

    /** The divergence of each variant's predictions from full precision, where it was asked for. */
    private List<String[]> divergences() {
        List<Metric> shown = metrics(Metric.Basis.REFERENCE).stream()
                .filter(metric -> texts.stream()
                        .anyMatch(text ->
                                Arrays.stream(Variant.values()).anyMatch(variant -> has(variant, text, metric))))
                .toList();
        List<String[]> rows = new ArrayList<>();
        List<String> header = new ArrayList<>(List.of("against full precision"));
        shown.forEach(metric -> header.add(metric.title()));
        rows.add(header.toArray(String[]::new));
        for (String text : texts) {
            for (Variant variant : Variant.values()) {
                if (shown.stream().anyMatch(metric -> has(variant, text, metric))) {
                    List<String> row = new ArrayList<>(List.of(text + ", " + title(variant)));
                    shown.forEach(metric -> row.add(number(variant, text, metric)));
                    rows.add(row.toArray(String[]::new));
                }
            }
        }
        return rows;
    }

    /** A row for each metric of each requested task or group. */
    private List<String[]> tasks() {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {
            "task",
            "metric",
            title(Variant.FULL_PRECISION),
            title(Variant.ROUND_TO_NEAREST),
            title(Variant.QUANTIZED),
            "standard error",
            Metric.FLIPS.title(),
            "shots",
            "documents"
        });
        for (MetricName name : metrics.keySet()) {
            if (name instanceof MetricName.OfTask asked && asked.equals(shots(asked.task()))) {
                for (MetricName other : metrics.keySet()) {
                    if (other instanceof MetricName.OfTask metric
                            && metric.task().equals(asked.task())
                            && metric.variant() == Variant.QUANTIZED
                            && metric.direction() != Direction.NEITHER) {
                        rows.add(task(metric));
                    }
                }
            }
        }
        return rows;
    }

    private String[] task(MetricName.OfTask metric) {
        boolean accuracy = metric.label().equals(Metric.ACC.label());
        return new String[] {
            metric.task(),
            metric.label(),
            number(metric.of(Variant.FULL_PRECISION), "%.4f"),
            number(metric.of(Variant.ROUND_TO_NEAREST), "%.4f"),
            number(metric, "%.4f"),
            number(metric.error(), "%.4f"),
            accuracy
                    ? number(new MetricName.Flips(Variant.QUANTIZED, metric.task(), Variant.FULL_PRECISION), "%.3f")
                    : "-",
            number(shots(metric.task()), "%.0f"),
            number(new MetricName.OfTask(metric.task(), TaskCondition.DOCUMENTS), "%.0f")
        };
    }

    private static MetricName shots(String task) {
        return new MetricName.OfTask(task, TaskCondition.NUM_FEWSHOT);
    }

    private void difference(List<String[]> rows, String text, Variant variant, Variant baseline) {
        MetricName name = new MetricName.LossOver(variant, text, baseline);
        if (metrics.get(name) instanceof Number nats) {
            // the ratio of two perplexities is the exponential of the difference of their losses
            String percent = String.format(Locale.ROOT, "%+.2f %%", 100 * Math.expm1(nats.doubleValue()));
            rows.add(row(title(variant) + " over " + title(baseline), name, "%+.4f", percent));
        }
    }

    private String[] row(String label, MetricName name, String format, String percent) {
        String interval = "-";
        String remark = "";
        if (metrics.get(new MetricName.Bound(name, MetricName.Bound.Side.LOW)) instanceof Number low
                && metrics.get(new MetricName.Bound(name, MetricName.Bound.Side.HIGH)) instanceof Number high) {
            interval = String.format(
                    Locale.ROOT, "[" + format + ", " + format + "]", low.doubleValue(), high.doubleValue());
            remark = low.doubleValue() <= 0 && high.doubleValue() >= 0 ? "no difference shown" : "";
        }
        if (name instanceof MetricName.LossOver over && isBelowSpread(over)) {
            remark = "below the numerical spread";
        }
        return new String[] {"  " + label, number(name, format), interval, percent, remark};
    }

    /** Returns whether a difference is no larger than one that next to nothing makes. */
    private boolean isBelowSpread(MetricName.LossOver over) {
        double spread = Stream.of(over.variant(), over.baseline())
                .map(variant -> metrics.get(new MetricName.OfText(variant, over.text(), Metric.NUMERICAL_SPREAD)))
                .mapToDouble(value -> value instanceof Number number ? number.doubleValue() : 0)
                .max()
                .orElseThrow();
        return metrics.get(over) instanceof Number difference && Math.abs(difference.doubleValue()) < spread;
    }

    private boolean has(Variant variant, String text, Metric metric) {
        return metrics.get(new MetricName.OfText(variant, text, metric)) instanceof Number;
    }

    private String number(Variant variant, String text, Metric metric) {
        Object value = metrics.get(new MetricName.OfText(variant, text, metric));
        if (metric.unit() == Unit.SHARE && value instanceof Number share) {
            return String.format(Locale.ROOT, "%.2f %%", 100 * share.doubleValue());
        }
        return number(new MetricName.OfText(variant, text, metric), metric.unit() == Unit.NATS ? "%.5f" : "%.4f");
    }

    private String condition(String text, TextCondition condition) {
        return String.valueOf(metrics.get(new MetricName.Condition(text, condition)));
    }

    private String word(MetricName name) {
        return metrics.get(name) instanceof String word ? word : "-";
    }

    private String number(MetricName name, String format) {
        return metrics.get(name) instanceof Number value
                ? String.format(Locale.ROOT, format, value.doubleValue())
                : "-";
    }
}
