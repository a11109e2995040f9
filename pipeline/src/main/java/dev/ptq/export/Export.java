package dev.ptq.export;

import ai.djl.ndarray.NDArray;
import dev.ptq.config.ConfigException;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Grid;
import dev.ptq.layout.Packer;
import dev.ptq.layout.ScaleStore;
import dev.ptq.layout.StoredActivations;
import dev.ptq.model.Block;
import dev.ptq.model.KvFormats;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.StoredForm;
import dev.ptq.progress.Progress;
import dev.ptq.run.PartialDirectory;
import dev.ptq.stage.FinishedModel;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.Weight;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Makes a Hugging Face folder of the model that a finished run measured. */
public final class Export {
    private static final String WEIGHT = ".weight";

    private final ExportSettings settings;
    private final FinishedRun run;
    private final FinishedModel model;
    private final StoredForm form;
    private final ScaleStore scales;
    private final Optional<Packer> packer;
    private final Map<String, Map<String, RawTensor>> caches;
    private final List<String> notes = new ArrayList<>();
    private final List<String> unpacked = new ArrayList<>();
    private final List<String> hidden = new ArrayList<>();
    private long folded;
    private long inexact;

    /**
     * What was made.
     *
     * @param bytes of the weights
     * @param notes on what the folder does not show, a sentence each
     */
    public record Outcome(long bytes, List<String> notes) {
        public Outcome {
            notes = List.copyOf(notes);
        }
    }

    private Export(ExportSettings settings, FinishedRun run, FinishedModel model) {
        this.settings = settings;
        this.run = run;
        this.model = model;
        this.form = new StoredForm(model.config());
        this.scales = new ScaleStore(settings.roundScales());
        this.packer = settings.format().packer(scales);
        this.caches = packer.map(packer -> packer.packCaches(caches(model))).orElse(Map.of());
    }

    /**
     * Makes the folder.
     *
     * @throws ConfigException if there is something of its name, or the run rounds more than it shows and that is an error
     * @throws IOException naming the file of the run that is damaged, or what the layout has no place for
     */
    public static Outcome run(ExportSettings settings, Progress.Reporter reporter) throws IOException {
        requireNothing(settings.target());
        try (FinishedRun run = FinishedRun.open(settings.run(), reporter);
                FinishedModel model = run.model()) {
            return new Export(settings, run, model).write(reporter, Shards.MOST_BYTES);
        }
    }

    private static void requireNothing(Path target) {
        if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            throw new ConfigException(
                    target + ": expected a folder that is not there yet, found something of that name");
        }
    }

    /** The caches that have a fixed format for each key and value, by their attention module. */
    private static Map<String, StoredActivations.Cache> caches(FinishedModel model) {
        Map<String, StoredActivations.Cache> caches = new LinkedHashMap<>();
        List<KvFormats> formats = model.caches();
        for (int block = 0; block < formats.size(); block++) {
            KvFormats cache = formats.get(block);
            boolean isPlain = cache.rotary() == KvFormats.Rotary.AFTER
                    && cache.window() == 0
                    && cache.key().groupSize() == 0
                    && cache.value().groupSize() == 0;
            if (!isPlain) {
                return Map.of();
            }
            // attention comes first in a block
            String linear = model.linears(block).get(0).module();
            caches.put(
                    linear.substring(0, linear.lastIndexOf('.')),
                    new StoredActivations.Cache(
                            cache.key().format(), cache.value().format()));
        }
        return caches;
    }

    private Outcome write(Progress.Reporter reporter, long mostBytes) throws IOException {
        requireFunction();
        requireOptions();
        noteRounding();
        requireNoNotes();
        Path target = settings.target().toAbsolutePath().normalize();
        try (PartialDirectory partial =
                PartialDirectory.create(target.resolveSibling("." + target.getFileName() + ".export.partial"))) {
            Shards shards = new Shards(partial.path(), "model", settings.type(), mostBytes);
            Optional<LoraAdapter> adapter = settings.adapter() == Adapter.PEFT
                    ? Optional.of(new LoraAdapter(partial.path(), settings.type()))
                    : Optional.empty();
            int blocks = model.config().blocks();
            try (Progress progress = reporter.start("export", blocks, "blocks")) {
                for (int block = 0; block < blocks; block++) {
                    writeBlock(block, shards, adapter);
                    TensorEngine.returnFreedMemory();
                    progress.step(block + 1L);
                }
            }
            writeOuter(shards);
            long bytes = shards.finish();
            noteChanges();
            if (adapter.isPresent()) {
                notes.add(adapter.get().finish(settings.target()) + " low-rank corrections are in the folder "
                        + LoraAdapter.FOLDER + ", for the peft library; without it the model is another");
            }
            ModelFiles.write(partial.path(), run.experiment().model(), model.config(), settings.type(), description());
            ModelCard.write(partial.path(), run, stored(), notes);
            requireNothing(settings.target());
            partial.publish(target);
            return new Outcome(bytes, notes);
        }
    }

    /** What changes the function of a model has to be in its folder. */
    private void requireFunction() throws IOException {
        ModelConfig original = model.original();
        if (!model.config().equals(original) && !model.config().equals(original.withOwnHead())) {
            throw new IOException(run.name() + ": the steps gave the model a forward pass that its config.json cannot"
                    + " describe: rotations that run with it (R3, R4, R2 across heads), or norms that are plain now;"
                    + " rotate only R1 and R2, in a model with RMSNorms whose weights are stored as they are");
        }
    }

    private void requireOptions() {
        if (settings.roundScales() && packer.isEmpty()) {
            throw new ConfigException("--round-scales: the layout " + settings.format()
                    + " has no scales; leave the option out, or choose another --format");
        }
    }

    private void requireNoNotes() {
        if (settings.strict() && !notes.isEmpty()) {
            throw new ConfigException(
                    notes.stream().map(note -> note + " (--strict)").toList());
        }
    }

    private void noteRounding() {
        for (String what : model.roundedInForwardPass(this::showsInput, !caches.isEmpty())) {
            notes.add("the run also rounds " + what + ", which " + settings.format()
                    + " has no place for; whoever runs these weights alone gets other numbers than the run's");
        }
        if (run.experiment().adaptation().isPresent()) {
            notes.add("the run also adapts the last block to each text; these are the weights before that");
        }
    }

    /** Returns whether the format of a linear's input will be in the folder, if its weight is packed. */
    private boolean showsInput(LinearSpec linear) {
        return packer.isPresent()
                && !model.weightFormat(linear).isNone()
                && packer.get().describes(model.inputFormat(linear));
    }

    private void noteChanges() {
        if (scales.rounded() > 0) {
            notes.add(scales.rounded()
                    + " scales were rounded to float16 (--round-scales), so that weights differ from the run's by up to"
                    + " a 2048th");
        }
        if (folded > 0) {
            notes.add(folded
                    + " low-rank corrections are part of the weights beside them, which are on no grid any more");
        }
        if (!hidden.isEmpty()) {
            notes.add("the run also rounds inputs of linears that are not packed, which " + settings.format()
                    + " has no place for: " + String.join(", ", hidden));
            requireNoNotes();
        }
        if (inexact > 0) {
            notes.add(inexact + " values of norms that the family stores less one have other last bits");
        }
    }

    private String stored() {
        String type = settings.type() == StoredType.F32 ? "float32" : "bfloat16, to which they were rounded";
        return packer.isEmpty()
                ? "Weights are the rounded values, stored in " + type + "."
                : "Weights of linears are packed in the layout " + settings.format() + ", all others stored in " + type
                        + ".";
    }

    private Optional<Map<String, @Nullable Object>> description() throws IOException {
        return packer.isPresent() ? Optional.of(packer.get().config(unpacked)) : Optional.empty();
    }

    private void writeBlock(int index, Shards shards, Optional<LoraAdapter> adapter) throws IOException {
        Map<String, Grid> grids = packer.isPresent() ? model.grids(index) : Map.of();
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        Map<String, RawTensor> packed = new LinkedHashMap<>();
        try (Block block = model.load(index)) {
            String prefix = prefix(index);
            Map<String, NDArray> all = new LinkedHashMap<>(block.tensors());
            for (Linear linear : block.linears()) {
                LinearSpec spec = linear.spec();
                requireFoldable(linear);
                Grid grid = grids.get(spec.path());
                if (packer.isPresent() && grid != null) {
                    pack(linear, grid, packer.get(), packed);
                    all.remove(spec.path() + WEIGHT);
                } else {
                    unpacked.add(spec.module());
                    if (showsInput(spec) && !model.inputFormat(spec).isNone()) {
                        hidden.add(spec.module());
                    }
                    all.put(spec.path() + WEIGHT, adapter.isPresent() ? linear.weight() : folded(linear));
                }
            }
            for (Map.Entry<String, Map<String, RawTensor>> cache : caches.entrySet()) {
                if (cache.getKey().startsWith(prefix)) {
                    cache.getValue().forEach((name, tensor) -> packed.put(cache.getKey() + "." + name, tensor));
                }
            }
            for (Map.Entry<String, NDArray> tensor : all.entrySet()) {
                String name = prefix + tensor.getKey();
                requirePlace(name);
                requireFinite(name, tensor.getValue());
                inexact += form.inexact(name, tensor.getValue());
                tensors.put(name, form.of(name, tensor.getValue()));
            }
            shards.add(tensors, packed);
            if (adapter.isPresent()) {
                adapter.get().add(block.linears());
            }
        }
    }

    private NDArray folded(Linear linear) {
        folded += linear.lowRank().isPresent() ? 1 : 0;
        return FoldedWeights.of(linear);
    }

    private void pack(Linear linear, Grid grid, Packer into, Map<String, RawTensor> target) throws IOException {
        String module = linear.spec().module();
        if (linear.lowRank().isPresent() && settings.adapter() == Adapter.FOLD) {
            throw new IOException(
                    module + ": has a low-rank correction, which cannot be part of a packed weight; export"
                            + " this run with --format " + ExportFormat.FLOAT + ", or with --adapter " + Adapter.PEFT
                            + " beside the weights");
        }
        try {
            into.pack(module, grid, model.inputFormat(linear.spec()))
                    .forEach((suffix, tensor) -> target.put(module + "." + suffix, tensor));
        } catch (IOException e) {
            throw new IOException(module + ": " + e.getMessage(), e);
        }
    }

    private static void requireFoldable(Linear linear) throws IOException {
        if (linear.roundsProducts()) {
            throw new IOException(
                    linear.spec().module() + ": the products of its low-rank correction are rounded, so that"
                            + " no matrix stands for it; with product_a = { format = \"none\" } and product_b = { format ="
                            + " \"none\" } in its [[approximation]] the factors can be folded into the weight");
        }
    }

    private void requirePlace(String name) throws IOException {
        if (Block.isMatrix(name)) {
            throw new IOException(name + ": a step put a matrix behind this norm, and no checkpoint has a place for it;"
                    + " choose mappings for the step that do not follow a norm");
        }
        if (!model.weights().names().contains(name)) {
            throw new IOException(name + ": a step gave the model a bias that its config.json cannot describe; choose"
                    + " a step without shifts, or a model with biases");
        }
    }

    private static void requireFinite(String name, NDArray values) throws IOException {
        if (!NativeFloats.allFinite(values)) {
            throw new IOException(name + ": has a value that is NaN or infinite in the run; nothing was exported");
        }
    }

    private String prefix(int block) {
        LinearSpec any = model.linears(block).get(0);
        return any.module().substring(0, any.module().length() - any.path().length());
    }

    private void writeOuter(Shards shards) throws IOException {
        List<String> prefixes = new ArrayList<>();
        for (int block = 0; block < model.config().blocks(); block++) {
            prefixes.add(prefix(block));
        }
        Map<String, Weight> outer = new LinkedHashMap<>();
        Map<String, NDArray> turned = new LinkedHashMap<>();
        try (var scratch = TensorEngine.newManager()) {
            for (String name : model.weights().names().stream().sorted().toList()) {
                if (prefixes.stream().anyMatch(name::startsWith)) {
                    continue;
                }
                if (form.isSame(name)) {
                    outer.put(name, model.weights().weight(name));
                } else {
                    NDArray values = model.weights().load(scratch, name);
                    inexact += form.inexact(name, values);
                    turned.put(name, Objects.requireNonNull(form.of(name, values)));
                }
            }
            shards.add(outer);
            if (!turned.isEmpty()) {
                shards.add(turned, Map.of());
            }
        }
        String head = model.config().output().head();
        unpacked.add(head);
    }
}
