package dev.ptq.experiment;

import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.evaluate.PairedBootstrap;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.stage.ChunkTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * The loss differences between the variants of a run on one text, with intervals over its chunks.
 *
 * @param differences the loss of each variant over that of each one before it, then the share of the loss recovered
 */
public record LossDifferences(List<Difference> differences) {
    /**
     * A number with its interval.
     *
     * @param interval none for a single chunk
     */
    public record Difference(MetricName name, double value, Optional<PairedBootstrap.Interval> interval) {}

    public LossDifferences {
        differences = List.copyOf(differences);
    }

    /**
     * Computes the differences.
     *
     * <p>Chunks weigh as much as in the protocol's mean loss: nothing without a scored token.
     *
     * @param run directory with the artifacts of the variants
     * @param losses of the variants, in order
     */
    static LossDifferences of(Path run, PerplexitySettings perplexity, Map<Variant, Double> losses) throws IOException {
        List<Variant> variants = List.copyOf(losses.keySet());
        List<Double> values = List.copyOf(losses.values());
        if (variants.size() < 2) {
            return new LossDifferences(List.of());
        }
        PairedBootstrap bootstrap = bootstrap(run, perplexity, variants);
        List<Difference> differences = new ArrayList<>();
        for (int of = 1; of < variants.size(); of++) {
            for (int over = 0; over < of; over++) {
                differences.add(new Difference(
                        new MetricName.LossOver(variants.get(of), perplexity.name(), variants.get(over)),
                        values.get(of) - values.get(over),
                        bootstrap.difference(of, over)));
            }
        }
        Double best = losses.get(Variant.FULL_PRECISION);
        Double plain = losses.get(Variant.ROUND_TO_NEAREST);
        Double own = losses.get(Variant.QUANTIZED);
        if (best != null && plain != null && own != null) {
            recovered(best, plain, own)
                    .ifPresent(share -> differences.add(new Difference(
                            new MetricName.LossRecovered(perplexity.name()),
                            share,
                            bootstrap.recovered(
                                    variants.indexOf(Variant.FULL_PRECISION),
                                    variants.indexOf(Variant.ROUND_TO_NEAREST),
                                    variants.indexOf(Variant.QUANTIZED)))));
        }
        return new LossDifferences(differences);
    }

    /** Returns the values, each followed by the ends of its interval. */
    Map<MetricName, Object> metrics() {
        Map<MetricName, Object> metrics = new LinkedHashMap<>();
        for (Difference difference : differences) {
            metrics.put(difference.name(), difference.value());
            difference.interval().ifPresent(interval -> {
                metrics.put(new MetricName.Bound(difference.name(), MetricName.Bound.Side.LOW), interval.low());
                metrics.put(new MetricName.Bound(difference.name(), MetricName.Bound.Side.HIGH), interval.high());
            });
        }
        return metrics;
    }

    /** Returns the share of RTN's added loss that a method recovers; none if RTN adds no loss. */
    static OptionalDouble recovered(double best, double plain, double own) {
        return plain > best ? OptionalDouble.of((plain - own) / (plain - best)) : OptionalDouble.empty();
    }

    private static PairedBootstrap bootstrap(Path run, PerplexitySettings perplexity, List<Variant> variants)
            throws IOException {
        List<double[]> values = new ArrayList<>();
        int[] tokens = {};
        for (Variant variant : variants) {
            Path directory = run.resolve(RunFiles.text(variant, perplexity.name()));
            List<Perplexity.ChunkLoss> chunks = ChunkTable.read(directory);
            int[] counts =
                    chunks.stream().mapToInt(Perplexity.ChunkLoss::tokens).toArray();
            if (!values.isEmpty() && !Arrays.equals(counts, tokens)) {
                throw new IOException(ChunkTable.file(directory) + ": not the chunks of "
                        + variants.get(0).label() + ": their tokens differ; make both again with --force "
                        + RunFiles.EVALUATE);
            }
            tokens = counts;
            values.add(chunks.stream().mapToDouble(Perplexity.ChunkLoss::mean).toArray());
        }
        return new PairedBootstrap(perplexity.protocol().weights(tokens, perplexity.batchSize()), values);
    }
}
