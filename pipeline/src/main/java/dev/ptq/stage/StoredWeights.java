package dev.ptq.stage;

import dev.ptq.format.NumberFormat;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.WeightStorage;
import dev.ptq.weights.Packing;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.Optional;

/**
 * What the weights of a model take: in their formats; as the checkpoint has packed them, where no format rounds them; and
 * beside packed weights, others as they are stored.
 */
final class StoredWeights {
    private final WeightSource weights;
    private final boolean isPacked;

    private StoredWeights(WeightSource weights, boolean isPacked) {
        this.weights = weights;
        this.isPacked = isPacked;
    }

    static StoredWeights of(LanguageModel model) throws IOException {
        boolean isPacked = false;
        for (LinearSpec linear : LanguageModel.linears(model.config())) {
            isPacked |= model.weights().weight(linear.weightName()).packing().isPresent();
        }
        return new StoredWeights(model.weights(), isPacked);
    }

    /** Returns whether a linear's weight is packed. */
    boolean isPacked() {
        return isPacked;
    }

    /** The packing of a weight that keeps it. */
    Optional<Packing> packing(LinearSpec linear, NumberFormat format) throws IOException {
        return format.isNone() ? weights.weight(linear.weightName()).packing() : Optional.empty();
    }

    /** What a weight takes in a format. */
    WeightStorage storage(LinearSpec linear, NumberFormat format) throws IOException {
        WeightStorage inFormat = WeightStorage.of(linear, format);
        Optional<Packing> packing = packing(linear, format);
        if (packing.isPresent()) {
            return WeightStorage.of(packing.get());
        }
        if (!isPacked || !format.isNone()) {
            return inFormat;
        }
        Weight stored = weights.weight(linear.weightName());
        return new WeightStorage(
                inFormat.valueBits(), (double) Byte.SIZE * stored.type().bytes() * linear.size());
    }
}
