package dev.ptq.artifact;

import dev.ptq.artifact.MetricName.Bound;
import java.util.List;
import java.util.Optional;

/**
 * A name of {@code metrics.json}, split at its slashes.
 *
 * @param key the whole name
 * @param variant named by the first part; the experiment itself if it names none
 * @param parts the other parts
 */
record ParsedName(String key, Variant variant, List<String> parts) {
    /** The first part of all names that belong to a text. */
    private static final String TEXT = Metric.PERPLEXITY.label();

    /** Returns the prefix of all names that belong to a text. */
    static String text(Variant variant, String text) {
        return variant.prefix() + TEXT + "/" + text;
    }

    static ParsedName of(String key) {
        for (Variant variant : Variant.values()) {
            String prefix = variant.prefix();
            if (!prefix.isEmpty() && key.startsWith(prefix)) {
                return new ParsedName(key, variant, parts(key.substring(prefix.length())));
            }
        }
        return new ParsedName(key, Variant.QUANTIZED, parts(key));
    }

    private static List<String> parts(String name) {
        return List.of(name.split("/", -1));
    }

    /** Interprets the parts. */
    MetricName name() {
        return ofText().or(this::lossRecovered).or(this::events).or(this::bound).orElseGet(this::ofWeightsOrTask);
    }

    private String last() {
        return parts.get(parts.size() - 1);
    }

    private String allButLast(int count) {
        return String.join("/", parts.subList(0, parts.size() - count));
    }

    private Optional<MetricName> ofText() {
        if (!parts.get(0).equals(TEXT) || parts.size() < 2) {
            return Optional.empty();
        }
        String text = parts.get(1);
        if (parts.size() == 2) {
            return Optional.of(new MetricName.OfText(variant, text, Metric.PERPLEXITY));
        }
        if (parts.size() == 4 && parts.get(2).equals(Metric.LOSS_OVER.label())) {
            return Variant.labelled(last()).map(baseline -> new MetricName.LossOver(variant, text, baseline));
        }
        if (parts.size() > 3) {
            return Optional.empty();
        }
        Optional<MetricName> condition =
                TextCondition.labelled(last()).map(found -> new MetricName.Condition(variant, text, found));
        return condition.or(() -> Metric.labelled(last())
                .filter(metric -> metric.isOfText() && metric != Metric.PERPLEXITY)
                .map(metric -> new MetricName.OfText(variant, text, metric)));
    }

    private Optional<MetricName> lossRecovered() {
        return parts.size() == 2 && parts.get(0).equals(Metric.LOSS_RECOVERED.label()) && isOfRun()
                ? Optional.of(new MetricName.LossRecovered(last()))
                : Optional.empty();
    }

    private Optional<MetricName> events() {
        return parts.size() == 2 && parts.get(0).equals(MetricName.Events.PREFIX) && isOfRun()
                ? LedgerEvent.labelled(last()).map(MetricName.Events::new)
                : Optional.empty();
    }

    private boolean isOfRun() {
        return variant == Variant.QUANTIZED;
    }

    private Optional<MetricName> bound() {
        for (Bound.Side side : Bound.Side.values()) {
            if (parts.size() > 1 && key.endsWith(side.suffix())) {
                ParsedName whole =
                        of(key.substring(0, key.length() - side.suffix().length()));
                // no bound of a bound: a name in a foreign file may end in a million of them
                MetricName name = whole.ofText().or(whole::lossRecovered).orElseGet(whole::ofWeightsOrTask);
                return Optional.of(new Bound(name, side));
            }
        }
        return Optional.empty();
    }

    private MetricName ofWeightsOrTask() {
        return ofWeights().orElseGet(this::ofTask);
    }

    private Optional<MetricName> ofWeights() {
        return parts.size() > 1 || !isOfRun()
                ? Optional.empty()
                : Metric.labelled(last())
                        .filter(metric -> metric.basis() == Metric.Basis.WEIGHTS)
                        .map(MetricName.OfWeights::new);
    }

    private MetricName ofTask() {
        if (parts.size() == 1 || parts.get(0).equals(TEXT) || parts.get(0).equals(Metric.LOSS_RECOVERED.label())) {
            return new MetricName.Other(key);
        }
        if (parts.size() > 2 && parts.get(parts.size() - 2).equals(Metric.FLIPS.label())) {
            Optional<Variant> reference = Variant.labelled(last());
            if (reference.isPresent()) {
                return new MetricName.Flips(variant, allButLast(2), reference.get());
            }
        }
        return new MetricName.OfTask(variant, allButLast(1), last());
    }
}
