package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.family.ModelConfig;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.PatchedWeights;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.RoundedWeights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A model as it runs: weights rounded to nearest as they are read, or as methods left them, and the activation formats.
 * The full-precision model it is based on stays open.
 */
final class QuantizedModel implements AutoCloseable {
    private final LanguageModel model;
    private final Optional<PatchedWeights> patches;
    private final ModelFormats formats;

    private QuantizedModel(LanguageModel model, Optional<PatchedWeights> patches, ModelFormats formats) {
        this.model = model;
        this.patches = patches;
        this.formats = formats;
    }

    /**
     * Rounds to nearest the weights that methods left alone.
     *
     * @param formats of all operands
     * @param patches of the methods; absent if there are none
     */
    static QuantizedModel of(LanguageModel exact, ModelFormats formats, Optional<PatchedWeights.Reader> patches) {
        RoundedWeights rounded = new RoundedWeights(exact.weights(), formats.weights());
        if (patches.isEmpty()) {
            return new QuantizedModel(exact.with(rounded), Optional.empty(), formats);
        }
        PatchedWeights patched = new PatchedWeights(rounded, LanguageModel.linears(exact.config()), patches.get());
        return new QuantizedModel(exact.with(patched), Optional.of(patched), formats);
    }

    /** Reads the patches in the artifact of the approximate stage. */
    static PatchedWeights.Reader patches(Path approximated, ModelConfig model) {
        return (block, manager) -> BlockPatch.read(
                manager, weights(approximated, block), approximated.resolve(RunFiles.LOW_RANK), linears(model, block));
    }

    /** The file of a block's changed tensors in that artifact; absent if there are none. */
    static Path weights(Path approximated, int block) {
        return approximated.resolve(RunFiles.WEIGHTS).resolve(RunFiles.block(block));
    }

    /** Reads the patch of one block from its working files. */
    static PatchedWeights.Reader patch(BlockFiles files, ModelConfig model) {
        return (block, manager) -> BlockPatch.read(manager, files.weights(), files.factors(), linears(model, block));
    }

    static List<LinearSpec> linears(ModelConfig model, int block) {
        return LanguageModel.linears(model).stream()
                .filter(linear -> linear.block() == block)
                .toList();
    }

    /** The activation formats, with static ranges. */
    ModelFormats formats() {
        return formats;
    }

    /** The model with quantized weights; {@link #applyTo} gives its blocks the rest. */
    LanguageModel model() {
        return model;
    }

    /** Applies everything but the weights to a block of the model. */
    void applyTo(Block block) throws IOException {
        if (patches.isPresent()) {
            patches.get().take(block.index(), block.manager()).applyTo(block);
        }
        formats.applyTo(block);
    }

    /** Loads a block as it runs. */
    Block load(int index) throws IOException {
        Block block = model.load(index);
        try {
            applyTo(block);
            return block;
        } catch (IOException | RuntimeException e) {
            block.close();
            throw e;
        }
    }

    @Override
    public void close() throws IOException {
        model.close();
    }
}
