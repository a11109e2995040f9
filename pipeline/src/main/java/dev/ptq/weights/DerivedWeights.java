package dev.ptq.weights;

import java.io.IOException;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Tensors derived from those of another source, under new names: for a model family whose checkpoints store them
 * differently.
 */
public final class DerivedWeights implements WeightSource {
    private final WeightSource base;
    private final Map<String, Weight> weights;

    /**
     * Replaces a source.
     *
     * @param base source of the weights; closed with this
     * @param weights all there are, by name
     */
    public DerivedWeights(WeightSource base, Map<String, Weight> weights) {
        this.base = base;
        this.weights = Map.copyOf(weights);
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(weights.keySet());
    }

    @Override
    public String description() {
        return base.description();
    }

    @Override
    public Weight weight(String name) throws IOException {
        Weight weight = weights.get(name);
        if (weight == null) {
            throw new IOException("no tensor " + name + "; there are such as "
                    + weights.keySet().stream().sorted().limit(3).collect(Collectors.joining(", ")));
        }
        return weight;
    }

    @Override
    public void close() throws IOException {
        base.close();
    }
}
