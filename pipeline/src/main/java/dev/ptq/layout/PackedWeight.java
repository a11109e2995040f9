package dev.ptq.layout;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.Packing;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.Weight;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The weight of a packed linear, unpacked whenever it is read. */
record PackedWeight(String name, Packing how, PackedLinear linear) implements Weight {
    @Override
    public List<Long> shape() {
        return List.of((long) linear.outFeatures(), (long) linear.inFeatures());
    }

    /** {@inheritDoc} Packed values become float32. */
    @Override
    public StoredType type() {
        return StoredType.F32;
    }

    @Override
    public String origin() {
        return "tensor " + name + ", packed as " + how.label();
    }

    @Override
    public Optional<Packing> packing() {
        return Optional.of(how);
    }

    @Override
    public NDArray load(NDManager manager) throws IOException {
        return rows(manager, 0, linear.outFeatures());
    }

    @Override
    public NDArray rows(NDManager manager, int from, int to) throws IOException {
        if (from < 0 || from > to || to > linear.outFeatures()) {
            throw new IOException(origin() + ": has no rows " + from + " to " + to + ", its shape is " + shape());
        }
        NDArray values = NativeFloats.create(manager, new Shape(to - from, linear.inFeatures()));
        try {
            linear.rows().read(from, to).write(NativeFloats.window(values));
        } catch (IOException e) {
            throw new IOException(origin() + ": " + e.getMessage(), e);
        }
        if (!NativeFloats.allFinite(values)) {
            throw new IOException(origin() + " has a value that is NaN or infinite; the checkpoint is damaged");
        }
        return values;
    }

    @Override
    public NDArray gather(NDManager manager, int[] rows) throws IOException {
        int first = Arrays.stream(rows).min().orElse(0);
        int last = Arrays.stream(rows).max().orElse(-1);
        if (first < 0 || last >= linear.outFeatures()) {
            throw new IOException(origin() + ": has no rows " + Arrays.toString(rows) + ", its shape is " + shape());
        }
        try (NDManager scratch = manager.newSubManager()) {
            int[] shifted = Arrays.stream(rows).map(row -> row - first).toArray();
            NDArray gathered = Torch.embedding(
                    rows(scratch, first, last + 1), NativeFloats.indices(scratch, shifted, shifted.length));
            gathered.attach(manager);
            return gathered;
        }
    }
}
