package dev.ptq.layout;

import dev.ptq.format.NumberFormat;
import dev.ptq.weights.Checkpoint;
import dev.ptq.weights.Packing;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A checkpoint in which some linears are packed: their weights appear under the names that unpacked ones would have. */
final class PackedCheckpoint implements WeightSource {
    private static final String WEIGHT = "weight";

    private final Checkpoint checkpoint;
    private final Layout.Reader reader;
    private final Map<String, PackedWeight> packed = new LinkedHashMap<>();
    private final Set<String> names;

    private PackedCheckpoint(Checkpoint checkpoint, Layout.Reader reader) {
        this.checkpoint = checkpoint;
        this.reader = reader;
        this.names = new LinkedHashSet<>(checkpoint.names());
    }

    static StoredCheckpoint open(Checkpoint checkpoint, Layout.Reader reader) throws IOException {
        PackedCheckpoint opened = new PackedCheckpoint(checkpoint, reader);
        Map<String, NumberFormat> inputs = new LinkedHashMap<>();
        for (ModuleTensors module : opened.modules(reader.suffixes())) {
            if (isPacked(module)) {
                PackedLinear linear = opened.add(module);
                linear.input().ifPresent(format -> inputs.put(module.module(), format));
            }
        }
        Map<String, StoredActivations.Cache> caches = new LinkedHashMap<>();
        for (ModuleTensors module : opened.modules(reader.cacheSuffixes())) {
            caches.put(module.module(), reader.cache(module));
            reader.cacheSuffixes().forEach(suffix -> opened.names.remove(module.name(suffix)));
        }
        return new StoredCheckpoint(opened, new StoredActivations(inputs, caches));
    }

    /** Returns the modules that have any tensor with one of these endings. */
    private List<ModuleTensors> modules(Set<String> suffixes) {
        List<String> longestFirst = suffixes.stream()
                .sorted(Comparator.comparingInt(String::length).reversed())
                .toList();
        Map<String, Set<String>> modules = new LinkedHashMap<>();
        for (String name : checkpoint.names()) {
            longestFirst.stream()
                    .filter(suffix -> name.endsWith("." + suffix))
                    .findFirst()
                    .ifPresent(suffix -> modules.computeIfAbsent(
                                    name.substring(0, name.length() - suffix.length() - 1),
                                    any -> new LinkedHashSet<>())
                            .add(suffix));
        }
        return modules.entrySet().stream()
                .map(module -> new ModuleTensors(checkpoint, module.getKey(), module.getValue()))
                .toList();
    }

    private static boolean isPacked(ModuleTensors module) throws IOException {
        return module.hasBesides(WEIGHT) || !module.type(WEIGHT).isFloat();
    }

    private PackedLinear add(ModuleTensors module) throws IOException {
        String name = module.name(WEIGHT);
        if (!reader.packs(module.module())) {
            throw new IOException(
                    name + ": is packed, but the quantization_config of config.json leaves this module out");
        }
        PackedLinear linear = reader.open(module);
        module.finish(linear.label());
        module.names().forEach(names::remove);
        names.add(name);
        packed.put(
                name,
                new PackedWeight(
                        name, new Packing(module.module(), linear.label(), linear.bits(), module.bits()), linear));
        return linear;
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(names);
    }

    @Override
    public Weight weight(String name) throws IOException {
        Weight found = packed.get(name);
        return found == null ? checkpoint.weight(name) : found;
    }

    @Override
    public void checkLinear(String name) throws IOException {
        Optional<String> module = name.endsWith("." + WEIGHT)
                ? Optional.of(name.substring(0, name.length() - WEIGHT.length() - 1))
                : Optional.empty();
        // where nothing is packed, the checkpoint was unpacked and kept its description
        if (!packed.isEmpty() && module.isPresent() && !packed.containsKey(name) && reader.packs(module.get())) {
            throw new IOException(
                    name + ": the quantization_config of config.json has this linear packed, but it is stored as "
                            + checkpoint.weight(name).type());
        }
    }

    @Override
    public void close() throws IOException {
        checkpoint.close();
    }
}
