package dev.ptq.model;

import dev.ptq.family.ModelConfig;
import dev.ptq.family.Norm;
import dev.ptq.family.Projection;
import dev.ptq.format.CacheFormat;
import dev.ptq.layout.StoredActivations;
import dev.ptq.weights.DerivedWeights;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A checkpoint as the model that its config describes: every tensor under the model's name for it, in the orientation and
 * with the values that the model computes with, and what is odd about the checkpoint.
 */
final class StoredModel {
    private static final String WEIGHT = ".weight";

    /** Tables and masks that programs compute for themselves. */
    private static final Pattern BUFFERS =
            Pattern.compile(".*(rotary_emb\\.inv_freq|(attn|attention)\\.(masked_)?bias|position_ids)");

    private static final int SHOWN = 3;

    private final WeightSource checkpoint;
    private final String base;
    private final Decoder decoder;
    private final Map<String, Weight> weights = new LinkedHashMap<>();
    private final Set<String> used = new LinkedHashSet<>();
    private final List<String> notes = new ArrayList<>();

    /**
     * Finds the tensors of a model.
     *
     * @throws IOException naming the tensor that is missing, or stored as nothing that is read here
     */
    StoredModel(ModelConfig config, WeightSource checkpoint) throws IOException {
        this.checkpoint = checkpoint;
        this.base = config.names().base();
        this.decoder = new Decoder(ownHead(config));
        add(decoder.outerTensors().keySet());
        // a config may claim more blocks than memory holds names of: the first that is not there ends it
        for (int block = 0; block < config.blocks(); block++) {
            add(decoder.names(block));
            for (LinearSpec linear : decoder.linears(block)) {
                checkLinear(linear.weightName());
            }
        }
        boolean isPacked =
                weights.values().stream().anyMatch(weight -> weight.packing().isPresent());
        adapt();
        noteUnread();
        decoder.config()
                .quantization()
                .filter(method -> !isPacked)
                .ifPresent(method -> notes.add("config.json has quantization_config: " + method
                        + ", and yet its weights are floats; they are taken as they are"));
    }

    /** The model, with its own head if the checkpoint has one. */
    Decoder decoder() {
        return decoder;
    }

    WeightSource weights() {
        return new DerivedWeights(checkpoint, weights);
    }

    /** What is odd about the checkpoint, a sentence each. */
    List<String> notes() {
        return notes;
    }

    /**
     * Returns the packed weights of linears, with the formats that the checkpoint asks for.
     *
     * @throws IOException if there are formats for the cache of some blocks only
     */
    PackedModel packed(StoredActivations activations) throws IOException {
        List<PackedModel.OfLinear> linears = new ArrayList<>();
        List<KvFormats> caches = new ArrayList<>();
        for (int block = 0; block < decoder.config().blocks(); block++) {
            for (LinearSpec linear : decoder.linears(block)) {
                Objects.requireNonNull(weights.get(linear.weightName()))
                        .packing()
                        .ifPresent(packing -> linears.add(new PackedModel.OfLinear(
                                linear.weightName(),
                                packing.label(),
                                Optional.ofNullable(activations.inputs().get(packing.module())))));
            }
            cache(activations, block).ifPresent(caches::add);
        }
        if (!caches.isEmpty() && caches.size() != decoder.config().blocks()) {
            throw new IOException("the checkpoint has scales for the keys and values of " + caches.size() + " of "
                    + decoder.config().blocks() + " blocks; the others are missing");
        }
        return new PackedModel(linears, caches);
    }

    private Optional<KvFormats> cache(StoredActivations activations, int block) {
        List<String> prefixes = spellings(decoder.prefix(block));
        return activations.caches().entrySet().stream()
                .filter(cache -> prefixes.stream().anyMatch(cache.getKey()::startsWith))
                .findFirst()
                .map(Map.Entry::getValue)
                .map(cache -> new KvFormats(
                        new CacheFormat(cache.key(), 0), new CacheFormat(cache.value(), 0), KvFormats.Rotary.AFTER, 0));
    }

    /** Where config.json ties the head to an embedding that it differs from, the file's head counts. */
    private ModelConfig ownHead(ModelConfig config) throws IOException {
        String head = config.output().head() + WEIGHT;
        Optional<Weight> stored = stored(head);
        Optional<Weight> embedding = stored(config.embedding().table());
        if (!config.vocabulary().tied() || stored.isEmpty() || embedding.isEmpty()) {
            return config;
        }
        if (stored.get().hasSameValues(embedding.get())) {
            return config;
        }
        notes.add("config.json has tie_word_embeddings, but " + head + " differs from "
                + config.embedding().table() + "; the head in the file counts");
        return config.withOwnHead();
    }

    private void add(Collection<String> names) throws IOException {
        for (String name : names) {
            weights.put(name, weight(name));
        }
    }

    private Weight weight(String name) throws IOException {
        ModelConfig config = decoder.config();
        Optional<Weight> found = stored(name);
        if (found.isEmpty()
                && config.vocabulary().tied()
                && name.equals(config.embedding().table())) {
            // of a tensor with two names a checkpoint keeps one
            found = stored(config.output().head() + WEIGHT);
        }
        if (found.isEmpty()) {
            found = stacked(name);
        }
        if (found.isEmpty()) {
            // asked for what it lacks, it says so
            return checkpoint.weight(name);
        }
        if (!found.get().type().isFloat()) {
            throw new IOException(found.get().origin() + ": is stored as "
                    + found.get().type() + "; weights are read as F32, F16 or BF16");
        }
        return found.get();
    }

    /** A tensor by its name, without the prefix that checkpoints of the bare decoder lack, or as part of a larger model. */
    private Optional<Weight> stored(String name) throws IOException {
        for (String spelling : spellings(name)) {
            if (checkpoint.names().contains(spelling)) {
                used.add(spelling);
                return Optional.of(checkpoint.weight(spelling));
            }
        }
        return Optional.empty();
    }

    private void checkLinear(String name) throws IOException {
        for (String spelling : spellings(name)) {
            if (checkpoint.names().contains(spelling)) {
                checkpoint.checkLinear(spelling);
            }
        }
    }

    private List<String> spellings(String name) {
        List<String> spellings = new ArrayList<>(List.of(name, "language_model." + name));
        if (name.startsWith(base)) {
            String bare = name.substring(base.length());
            spellings.add(bare);
            spellings.add(base + "language_model." + bare);
        }
        return spellings;
    }

    /** A matrix whose rows are stored one by one, as norms of heads may be. */
    private Optional<Weight> stacked(String name) throws IOException {
        String path = name.substring(0, name.lastIndexOf('.')) + ".norms.";
        List<Weight> rows = new ArrayList<>();
        Optional<Weight> next = stored(path + 0 + WEIGHT);
        while (next.isPresent()) {
            if (next.get().shape().size() != 1
                    || !next.get()
                            .shape()
                            .equals((rows.isEmpty() ? next : Optional.of(rows.get(0)))
                                    .get()
                                    .shape())) {
                throw new IOException(
                        next.get().origin() + ": expected a vector like those of the other heads, its shape is "
                                + next.get().shape());
            }
            rows.add(next.get());
            next = stored(path + rows.size() + WEIGHT);
        }
        return rows.isEmpty() ? Optional.empty() : Optional.of(Weight.stacked(rows));
    }

    /** Turns what is stored {@code [in, out]}, and adds one to what is stored less one. */
    private void adapt() throws IOException {
        for (int block = 0; block < decoder.config().blocks(); block++) {
            String prefix = decoder.prefix(block);
            for (Projection linear : Decoder.linears(decoder.config().block(block))) {
                String name = prefix + linear.path() + WEIGHT;
                Weight stored = Objects.requireNonNull(weights.get(name));
                // packed ones are all [out, in]
                if (linear.turned() && stored.packing().isEmpty()) {
                    if (stored.shape().size() != 2) {
                        throw new IOException(
                                stored.origin() + ": expected a matrix [in, out], its shape is " + stored.shape());
                    }
                    weights.put(name, stored.transposed());
                }
            }
            Decoder.norms(decoder.config().block(block)).forEach(norm -> addOne(norm, prefix));
        }
        decoder.outerNorms().forEach(norm -> addOne(norm, ""));
    }

    private void addOne(Norm norm, String prefix) {
        if (norm.plusOne()) {
            weights.computeIfPresent(prefix + norm.weight(), (name, stored) -> stored.plus(1));
        }
    }

    private void noteUnread() {
        List<String> unread = checkpoint.names().stream()
                .filter(name -> !used.contains(name) && !BUFFERS.matcher(name).matches())
                .sorted()
                .toList();
        if (!unread.isEmpty()) {
            notes.add((unread.size() == 1 ? "1 tensor is" : unread.size() + " tensors are")
                    + " in no place of the model that config.json describes, and not read: "
                    + String.join(", ", unread.subList(0, Math.min(SHOWN, unread.size())))
                    + (unread.size() > SHOWN ? ", and so on" : ""));
        }
    }
}
