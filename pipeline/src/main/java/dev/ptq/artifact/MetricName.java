package dev.ptq.artifact;

import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * The name of an entry of {@code metrics.json}, in its parts. This is the only place where such names are composed or
 * parsed; {@code parse(name.key())} is {@code name}.
 */
public sealed interface MetricName {
    /** The name as in {@code metrics.json}. */
    String key();

    /** The variant of the model. */
    default Variant variant() {
        return Variant.QUANTIZED;
    }

    /** The metric, if it is a known one. */
    default Optional<Metric> measure() {
        return Optional.empty();
    }

    /** The same metric of another variant, if there is such a one. */
    default Optional<MetricName> forVariant(Variant other) {
        return Optional.empty();
    }

    /** The text or task that it is about, if there is one. */
    default Optional<Subject> subject() {
        return Optional.empty();
    }

    /** The same about a text or task of another name; itself if it is about none. */
    default MetricName about(String name) {
        return this;
    }

    /**
     * What is measured.
     *
     * @param isText whether it is a text, not a task
     */
    record Subject(String name, boolean isText) {}

    /** The better of two values. */
    default Direction direction() {
        return measure().map(Metric::direction).orElse(Direction.NEITHER);
    }

    /** A metric of a text: {@code perplexity/TEXT}, {@code adapted/perplexity/TEXT/loss}. */
    record OfText(Variant variant, String text, Metric metric) implements MetricName {
        /** A metric of the experiment itself. */
        public OfText(String text, Metric metric) {
            this(Variant.QUANTIZED, text, metric);
        }

        @Override
        public String key() {
            String name = ParsedName.text(variant, text);
            return metric == Metric.PERPLEXITY ? name : name + "/" + metric.label();
        }

        @Override
        public Optional<MetricName> forVariant(Variant other) {
            return Optional.of(new OfText(other, text, metric));
        }

        @Override
        public Optional<Metric> measure() {
            return Optional.of(metric);
        }

        @Override
        public Optional<Subject> subject() {
            return Optional.of(new Subject(text, true));
        }

        @Override
        public MetricName about(String name) {
            return new OfText(variant, name, metric);
        }
    }

    /** A condition under which a text was scored: {@code perplexity/TEXT/protocol}. */
    record Condition(Variant variant, String text, TextCondition condition) implements MetricName {
        /** A condition of the experiment itself. */
        public Condition(String text, TextCondition condition) {
            this(Variant.QUANTIZED, text, condition);
        }

        @Override
        public String key() {
            return ParsedName.text(variant, text) + "/" + condition.label();
        }

        @Override
        public Optional<Subject> subject() {
            return Optional.of(new Subject(text, true));
        }

        @Override
        public MetricName about(String name) {
            return new Condition(variant, name, condition);
        }
    }

    /** The loss of a variant over that of another: {@code perplexity/TEXT/loss_over/full_precision}. */
    record LossOver(Variant variant, String text, Variant baseline) implements MetricName {
        @Override
        public String key() {
            return ParsedName.text(variant, text) + "/" + Metric.LOSS_OVER.label() + "/" + baseline.label();
        }

        @Override
        public Optional<MetricName> forVariant(Variant other) {
            return other == baseline ? Optional.empty() : Optional.of(new LossOver(other, text, baseline));
        }

        @Override
        public Optional<Metric> measure() {
            return Optional.of(Metric.LOSS_OVER);
        }

        @Override
        public Optional<Subject> subject() {
            return Optional.of(new Subject(text, true));
        }

        @Override
        public MetricName about(String name) {
            return new LossOver(variant, name, baseline);
        }
    }

    /** The share of the loss recovered: {@code loss_recovered/TEXT}. */
    record LossRecovered(String text) implements MetricName {
        @Override
        public String key() {
            return Metric.LOSS_RECOVERED.label() + "/" + text;
        }

        @Override
        public Optional<Metric> measure() {
            return Optional.of(Metric.LOSS_RECOVERED);
        }

        @Override
        public Optional<Subject> subject() {
            return Optional.of(new Subject(text, true));
        }

        @Override
        public MetricName about(String name) {
            return new LossRecovered(name);
        }
    }

    /** One end of the confidence interval of another entry: {@code loss_recovered/TEXT/low}. */
    record Bound(MetricName of, Side side) implements MetricName {
        /** The end of the interval. */
        public enum Side {
            /** The lower one. */
            LOW("/low"),
            /** The upper one. */
            HIGH("/high");

            private final String suffix;

            Side(String suffix) {
                this.suffix = suffix;
            }

            /** The suffix after the name of the entry. */
            String suffix() {
                return suffix;
            }
        }

        @Override
        public String key() {
            return of.key() + side.suffix();
        }

        @Override
        public Variant variant() {
            return of.variant();
        }

        @Override
        public Optional<Subject> subject() {
            return of.subject();
        }

        @Override
        public MetricName about(String name) {
            return new Bound(of.about(name), side);
        }
    }

    /** An entry of a task: {@code arc_easy/acc}, {@code full_precision/arc_easy/acc_stderr}. */
    record OfTask(Variant variant, String task, String label) implements MetricName {
        private static final String ERROR = "_stderr";

        /** A metric of the experiment itself. */
        public OfTask(String task, String label) {
            this(Variant.QUANTIZED, task, label);
        }

        /** A condition of the experiment itself. */
        public OfTask(String task, TaskCondition condition) {
            this(Variant.QUANTIZED, task, condition.label());
        }

        /** Returns the same name for another variant. */
        public OfTask of(Variant other) {
            return new OfTask(other, task, label);
        }

        /** Returns the name of the metric's standard error. */
        public OfTask error() {
            return new OfTask(variant, task, label + ERROR);
        }

        @Override
        public String key() {
            return variant.prefix() + task + "/" + label;
        }

        @Override
        public Optional<MetricName> forVariant(Variant other) {
            return Optional.of(of(other));
        }

        @Override
        public Optional<Metric> measure() {
            return Metric.labelled(label);
        }

        @Override
        public Optional<Subject> subject() {
            return Optional.of(new Subject(task, false));
        }

        @Override
        public MetricName about(String name) {
            return new OfTask(variant, name, label);
        }
    }

    /** The documents that exactly one of two variants has right: {@code arc_easy/flips/full_precision}. */
    record Flips(Variant variant, String task, Variant reference) implements MetricName {
        @Override
        public String key() {
            return variant.prefix() + task + "/" + Metric.FLIPS.label() + "/" + reference.label();
        }

        @Override
        public Optional<Metric> measure() {
            return Optional.of(Metric.FLIPS);
        }

        @Override
        public Optional<Subject> subject() {
            return Optional.of(new Subject(task, false));
        }

        @Override
        public MetricName about(String name) {
            return new Flips(variant, name, reference);
        }
    }

    /** A metric of the weights: {@code bits_per_weight}. */
    record OfWeights(Metric metric) implements MetricName {
        @Override
        public String key() {
            return metric.label();
        }

        @Override
        public Optional<Metric> measure() {
            return Optional.of(metric);
        }
    }

    /** How often something is in the ledger: {@code ledger/fell_back}. */
    record Events(LedgerEvent event) implements MetricName {
        static final String PREFIX = "ledger";

        @Override
        public String key() {
            return PREFIX + "/" + event.label();
        }
    }

    /** A name that this program does not write; its last part may name a metric. */
    record Other(String key) implements MetricName {
        @Override
        public Optional<Metric> measure() {
            return Metric.labelled(key.substring(key.lastIndexOf('/') + 1));
        }
    }

    /** Parses a name, written by this program or another. */
    static MetricName parse(String key) {
        return ParsedName.of(key).name();
    }

    /** Returns the texts for which the experiment itself has a perplexity, in order. */
    static List<String> texts(Collection<MetricName> names) {
        return names.stream()
                .filter(OfText.class::isInstance)
                .map(OfText.class::cast)
                .filter(name -> name.variant() == Variant.QUANTIZED && name.metric() == Metric.PERPLEXITY)
                .map(OfText::text)
                .toList();
    }
}
