package dev.ptq.allocate;

import dev.ptq.artifact.Metric;
import dev.ptq.config.ConfigException;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The most that a model may cost.
 *
 * @param cost one of {@link #COSTS}
 * @param limit that it must not exceed
 */
public record Budget(Metric cost, double limit) {
    /** The costs that a budget may be of. */
    static final List<Metric> COSTS = List.of(Metric.BITS_PER_WEIGHT, Metric.BOPS_PER_TOKEN, Metric.BYTES_PER_TOKEN);

    /**
     * Reads {@code NAME=NUMBER}.
     *
     * @throws ConfigException if it is no budget
     */
    public static Budget parse(String text) {
        String[] parts = text.split("=", 2);
        Metric cost = COSTS.stream()
                .filter(metric -> metric.label().equals(parts[0].strip()))
                .findFirst()
                .orElseThrow(() -> new ConfigException("--budget " + text + ": expected one of "
                        + COSTS.stream().map(Metric::label).collect(Collectors.joining(", ", "[", "]"))
                        + " and a number, such as bits_per_weight=3.25"));
        try {
            double limit = Double.parseDouble(parts.length > 1 ? parts[1].strip() : "");
            if (limit > 0 && Double.isFinite(limit)) {
                return new Budget(cost, limit);
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new ConfigException("--budget " + text + ": expected a number above 0 after " + cost.label() + "=");
    }

    @Override
    public String toString() {
        return cost.label() + "=" + limit;
    }
}
