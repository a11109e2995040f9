package dev.ptq.stage;

import dev.ptq.evaluate.PairedBootstrap;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexitySettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/** What separates the variants of a run on one text, with intervals over its chunks. */
final class LossDifferences {
    private LossDifferences() {}

    /**
     * The metrics: the loss of each variant over that of each one before it, and the share of the loss recovered.
     *
     * <p>Chunks weigh as much as they do in the protocol's mean loss; without a scored token that is nothing.
     *
     * @param run directory with the artifacts of the variants
     * @param losses of the variants, in order
     */
    static Map<String, Object> metrics(Path run, PerplexitySettings perplexity, Map<Variant, Double> losses)
            throws IOException {
        Map<String, Object> metrics = new LinkedHashMap<>();
        List<Variant> variants = List.copyOf(losses.keySet());
        List<Double> values = List.copyOf(losses.values());
        if (variants.size() < 2) {
            return metrics;
        }
        PairedBootstrap bootstrap = bootstrap(run, perplexity, variants);
        for (int of = 1; of < variants.size(); of++) {
            for (int over = 0; over < of; over++) {
                Variant variant = variants.get(of);
                Variant baseline = variants.get(over);
                put(
                        metrics,
                        variant.metricPrefix() + "perplexity/" + perplexity.name() + "/loss_over/" + baseline.label(),
                        values.get(of) - values.get(over),
                        bootstrap.difference(of, over));
            }
        }
        Double best = losses.get(Variant.FULL_PRECISION);
        Double plain = losses.get(Variant.ROUND_TO_NEAREST);
        Double own = losses.get(Variant.QUANTIZED);
        if (best != null && plain != null && own != null) {
            recovered(best, plain, own)
                    .ifPresent(share -> put(
                            metrics,
                            "loss_recovered/" + perplexity.name(),
                            share,
                            bootstrap.recovered(
                                    variants.indexOf(Variant.FULL_PRECISION),
                                    variants.indexOf(Variant.ROUND_TO_NEAREST),
                                    variants.indexOf(Variant.QUANTIZED))));
        }
        return metrics;
    }

    private static void put(
            Map<String, Object> metrics, String name, double value, Optional<PairedBootstrap.Interval> interval) {
        metrics.put(name, value);
        interval.ifPresent(found -> {
            metrics.put(name + "/low", found.low());
            metrics.put(name + "/high", found.high());
        });
    }

    /** The share of what rounding lost that a method gives back; none where rounding lost nothing. */
    static OptionalDouble recovered(double best, double plain, double own) {
        return plain > best ? OptionalDouble.of((plain - own) / (plain - best)) : OptionalDouble.empty();
    }

    private static PairedBootstrap bootstrap(Path run, PerplexitySettings perplexity, List<Variant> variants)
            throws IOException {
        List<double[]> values = new ArrayList<>();
        int[] tokens = {};
        for (Variant variant : variants) {
            Path directory = run.resolve(EvaluateStage.directory(variant, perplexity));
            List<Perplexity.ChunkLoss> chunks = ChunkTable.read(directory);
            int[] counts =
                    chunks.stream().mapToInt(Perplexity.ChunkLoss::tokens).toArray();
            if (!values.isEmpty() && !Arrays.equals(counts, tokens)) {
                throw new IOException(directory.resolve(ChunkTable.FILE) + ": not the chunks of "
                        + variants.get(0).label() + ": their tokens differ; make both again with --force evaluate");
            }
            tokens = counts;
            values.add(chunks.stream().mapToDouble(Perplexity.ChunkLoss::mean).toArray());
        }
        return new PairedBootstrap(perplexity.protocol().weights(tokens, perplexity.batchSize()), values);
    }
}
