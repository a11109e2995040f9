package dev.ptq.model;

import dev.ptq.format.Formats;
import dev.ptq.format.GivenScaleFormat;
import dev.ptq.format.NumberFormat;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The formats that a checkpoint asks for and that the experiment leaves to it.
 *
 * @param inputs of linears
 * @param caches of each block; empty if there are none
 */
public record CheckpointFormats(List<OfInput> inputs, List<KvFormats> caches) {
    /** The format of the input of one linear. */
    public record OfInput(String weightName, NumberFormat format) {}

    public CheckpointFormats {
        inputs = List.copyOf(inputs);
        caches = List.copyOf(caches);
    }

    /**
     * Returns the formats of a model that are left to it.
     *
     * @param inputs whether those of inputs are
     * @param caches whether those of caches are
     */
    static Optional<CheckpointFormats> of(PackedModel model, boolean inputs, boolean caches) {
        List<OfInput> ofInputs = model.linears().stream()
                .filter(linear -> inputs && linear.input().isPresent())
                .map(linear -> new OfInput(linear.weightName(), linear.input().get()))
                .toList();
        List<KvFormats> ofCaches = caches ? model.caches() : List.of();
        return ofInputs.isEmpty() && ofCaches.isEmpty()
                ? Optional.empty()
                : Optional.of(new CheckpointFormats(ofInputs, ofCaches));
    }

    /** The formats of inputs by the names of weights. */
    Map<String, NumberFormat> byWeight() {
        Map<String, NumberFormat> formats = new HashMap<>();
        inputs.forEach(input -> formats.put(input.weightName(), input.format()));
        return formats;
    }

    /** Returns a sentence that says which formats these are. */
    public String note() {
        Set<String> kinds = new LinkedHashSet<>();
        inputs.forEach(input -> kinds.add(written(input.format())));
        String ofInputs = kinds.isEmpty() ? "" : "inputs of linears " + String.join(" and ", kinds);
        String ofCaches = caches.isEmpty()
                ? ""
                : "keys and values " + written(caches.get(0).key().format());
        return "formats of the checkpoint: " + ofInputs + (kinds.isEmpty() || caches.isEmpty() ? "" : ", ") + ofCaches;
    }

    private static String written(NumberFormat format) {
        // scales differ from linear to linear
        return Formats.written(format.dynamic()) + (format instanceof GivenScaleFormat ? " with stored scales" : "");
    }
}
