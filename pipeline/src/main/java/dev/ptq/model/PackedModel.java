package dev.ptq.model;

import dev.ptq.format.NumberFormat;
import java.util.List;
import java.util.Optional;

/**
 * What a checkpoint has packed, and the formats that it asks for.
 *
 * @param linears those with a packed weight, in order
 * @param caches the formats of keys and values, one for each block; empty if it asks for none
 */
public record PackedModel(List<OfLinear> linears, List<KvFormats> caches) {
    /**
     * A linear with a packed weight.
     *
     * @param weightName its name
     * @param label of layout and format, for people
     * @param input the format of its input that the checkpoint asks for
     */
    public record OfLinear(String weightName, String label, Optional<NumberFormat> input) {}

    public PackedModel {
        linears = List.copyOf(linears);
        caches = List.copyOf(caches);
    }

    /** A model in floating point numbers. */
    public static PackedModel none() {
        return new PackedModel(List.of(), List.of());
    }

    /** Returns whether nothing is packed. */
    public boolean isNone() {
        return linears.isEmpty();
    }
}
