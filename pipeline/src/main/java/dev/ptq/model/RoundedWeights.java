package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The weights of a model rounded to nearest: those of linears are rounded to their formats on every read, all others
 * are left as they are. Nothing is stored.
 */
public final class RoundedWeights implements WeightSource {
    private final WeightSource base;
    private final Map<String, NumberFormat> formats;

    /**
     * Rounds the weights of another source.
     *
     * @param base in full precision; it stays open when this is closed
     * @param formats of linear weights, by name
     */
    public RoundedWeights(WeightSource base, Map<String, NumberFormat> formats) {
        this.base = base;
        this.formats = Map.copyOf(formats);
    }

    @Override
    public Set<String> names() {
        return base.names();
    }

    @Override
    public Weight weight(String name) throws IOException {
        Weight exact = base.weight(name);
        NumberFormat format = formats.get(name);
        return format == null || format.isNone() ? exact : new Rounded(exact, format);
    }

    /** A weight that is rounded whole whenever part of it is read: values that share a scale may be anywhere in it. */
    private record Rounded(Weight exact, NumberFormat format) implements Weight {
        @Override
        public List<Long> shape() {
            return exact.shape();
        }

        @Override
        public StoredType type() {
            return exact.type();
        }

        @Override
        public String origin() {
            return exact.origin() + ", rounded";
        }

        @Override
        public NDArray load(NDManager manager) throws IOException {
            return format.fakeQuantizeInPlace(exact.load(manager), Operand.WEIGHT);
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) throws IOException {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray rows = Torch.contiguous(load(scratch).get(new NDIndex("{}:{}", from, to)));
                rows.attach(manager);
                return rows;
            }
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) throws IOException {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray gathered = Torch.embedding(load(scratch), NativeFloats.indices(scratch, rows, rows.length));
                gathered.attach(manager);
                return gathered;
            }
        }
    }

    @Override
    public void close() {}
}
