package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.PatchedWeights;
import dev.ptq.model.AttentionFormats;
import dev.ptq.model.Block;
import dev.ptq.model.KvFormats;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearFormats;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/** The model that a finished run measured, block by block, for those who want its weights and not its numbers. */
public final class FinishedModel implements AutoCloseable {
    private final Workspace workspace;
    private final QuantizedModel quantized;
    private final LanguageModel exact;
    private final Optional<PatchedWeights.Reader> patches;

    private FinishedModel(
            Workspace workspace,
            QuantizedModel quantized,
            LanguageModel exact,
            Optional<PatchedWeights.Reader> patches) {
        this.workspace = workspace;
        this.quantized = quantized;
        this.exact = exact;
        this.patches = patches;
    }

    /** The stages of a run that {@link #open} reads. */
    public static List<String> inputs(Workspace workspace) {
        return VariantSettings.of(workspace, Variant.QUANTIZED).inputs();
    }

    /**
     * Opens the model of a run; the workspace stays open.
     *
     * @param artifacts the folder of each of the {@link #inputs}, by name
     * @throws IOException naming the file that is missing or damaged
     */
    public static FinishedModel open(Workspace workspace, Map<String, Path> artifacts) throws IOException {
        VariantSettings settings = VariantSettings.of(workspace, Variant.QUANTIZED);
        Optional<PatchedWeights.Reader> patches = Optional.ofNullable(artifacts.get(RunFiles.APPROXIMATE))
                .map(folder ->
                        QuantizedModel.patches(folder, workspace.experiment().preparedShape()));
        return new FinishedModel(
                workspace, settings.open(workspace, artifacts, patches), settings.exact(workspace, artifacts), patches);
    }

    /** The shape of the model as it runs, with what methods put into its forward pass. */
    public ModelConfig config() {
        return exact.config();
    }

    /** The shape of the model that the run started from. */
    public ModelConfig original() {
        return workspace.experiment().shape();
    }

    /** The tensors as the run has them; what methods put beside them is in the blocks alone. */
    public WeightSource weights() {
        return quantized.model().weights();
    }

    /** Loads a block as it runs. */
    public Block load(int index) throws IOException {
        return quantized.load(index);
    }

    /** Returns the linears of a block. */
    public List<LinearSpec> linears(int block) {
        return QuantizedModel.linears(config(), block);
    }

    /** Returns the format of the weight of a linear. */
    public NumberFormat weightFormat(LinearSpec linear) {
        return quantized.formats().of(linear).weight();
    }

    /** Returns the grid of each weight of a block that was rounded to a format with codes, by path. */
    public Map<String, Grid> grids(int block) throws IOException {
        Map<String, Grid> grids = new LinkedHashMap<>();
        try (NDManager scratch = TensorEngine.newManager()) {
            BlockPatch patch = patches.isPresent() ? patches.get().read(block, scratch) : new BlockPatch();
            for (LinearSpec linear : linears(block)) {
                Optional<Grid> left = patch.grid(linear.path());
                if (left.isPresent()) {
                    grids.put(linear.path(), left.get());
                } else if (!patch.changes(linear.path() + ".weight")) {
                    fitted(linear).ifPresent(grid -> grids.put(linear.path(), grid));
                }
            }
        }
        return grids;
    }

    private Optional<Grid> fitted(LinearSpec linear) throws IOException {
        NumberFormat format = weightFormat(linear);
        if (format.isNone()) {
            return Optional.empty();
        }
        try (NDManager scratch = TensorEngine.newManager()) {
            NDArray weight = exact.weights().load(scratch, linear.weightName());
            return format.fit(weight, Operand.WEIGHT);
        }
    }

    /** Returns the format of the input of a linear. */
    public NumberFormat inputFormat(LinearSpec linear) {
        return quantized.formats().of(linear).activation();
    }

    /** Returns the formats of the cache of keys and values of each block; empty if not every block has a cache that is rounded. */
    public List<KvFormats> caches() {
        List<KvFormats> caches = new ArrayList<>();
        for (int block = 0; block < config().blocks(); block++) {
            quantized.formats().attention(block).kv().filter(kv -> !kv.isNone()).ifPresent(caches::add);
        }
        return caches.size() == config().blocks() ? caches : List.of();
    }

    /**
     * What the run rounds while the model computes, a phrase for each kind of value: no weights show it.
     *
     * @param shown linears whose inputs are rounded to formats that are shown elsewhere
     * @param cacheIsShown whether the formats of the cache are
     */
    public List<String> roundedInForwardPass(Predicate<LinearSpec> shown, boolean cacheIsShown) {
        List<String> found = new ArrayList<>();
        List<LinearSpec> linears = LanguageModel.linears(config());
        List<LinearSpec> others = linears.stream().filter(shown.negate()).toList();
        note(found, "inputs of linears", others, LinearFormats::activation);
        note(found, "outputs of linears", linears, LinearFormats::output);
        Set<String> attention = new LinkedHashSet<>();
        for (int block = 0; block < config().blocks(); block++) {
            AttentionFormats formats = quantized.formats().attention(block);
            note(attention, "queries", formats.query());
            note(attention, "keys", formats.key());
            note(attention, "values", formats.value());
            note(attention, "attention probabilities", formats.probability());
            if (!cacheIsShown && formats.kv().isPresent() && !formats.kv().get().isNone()) {
                attention.add("the cache of keys and values");
            }
        }
        found.addAll(attention);
        return found;
    }

    private void note(
            List<String> found, String what, List<LinearSpec> linears, Function<LinearFormats, NumberFormat> operand) {
        Set<String> written = new LinkedHashSet<>();
        for (LinearSpec linear : linears) {
            NumberFormat format = operand.apply(quantized.formats().of(linear)).dynamic();
            if (!format.isNone()) {
                written.add(Formats.written(format));
            }
        }
        if (!written.isEmpty()) {
            found.add(what + " (" + String.join(", ", written) + ")");
        }
    }

    private static void note(Set<String> found, String what, NumberFormat format) {
        if (!format.isNone()) {
            found.add(what + " (" + Formats.written(format.dynamic()) + ")");
        }
    }

    @Override
    public void close() throws IOException {
        quantized.close();
    }
}
