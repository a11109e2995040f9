package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.StaticIntegerFormat.Bounds;
import dev.ptq.method.BlockContext;
import dev.ptq.method.LowRankCorrection;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.Linear;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * What the methods made of a model, in files: low-rank factors, and for each block that they changed its new tensors.
 */
final class Approximated implements AutoCloseable {
    /** The low-rank factors of all blocks. */
    static final String LOW_RANK = "low_rank.safetensors";
    /** The folder of tensors that replace the model's, a file per block. */
    static final String WEIGHTS = "weights";
    /** The folder of what was learned, a file per block. */
    static final String PARAMETERS = "parameters";
    /** In the metadata of a block's tensors: the relative errors of weights that are on their grid already. */
    static final String ROUNDING_ERRORS = "rounding_errors";

    /** There too: the ranges of inputs that transformations changed, where the formats ask for them. */
    static final String RANGES = "activation_ranges";

    private final Path folder;
    private final QuantizationSettings quantization;
    private final List<Method> steps;
    private final Safetensors factors;

    /** Opens the artifacts of the approximate stage. */
    Approximated(Path folder, QuantizationSettings quantization, List<Method> steps) throws IOException {
        this.folder = folder;
        this.quantization = quantization;
        this.steps = steps;
        this.factors = Safetensors.open(folder.resolve(LOW_RANK));
    }

    /** Makes of a block as loaded the one that runs. */
    void applyTo(Block block) throws IOException {
        applyTo(block, weights(folder, block.index()));
    }

    /** The same with tensors of a block from another file. */
    void applyTo(Block block, Path weights) throws IOException {
        apply(block, quantization, steps, factors, weights);
    }

    /**
     * As {@link #applyTo}.
     *
     * @param factors that hold the block's
     * @param weights the block's tensors; a file that need not be there
     */
    static void apply(
            Block block, QuantizationSettings quantization, List<Method> steps, Safetensors factors, Path weights)
            throws IOException {
        replaceTensors(block, weights);
        quantization.applyTo(block);
        for (Linear linear : block.linears()) {
            String module = linear.spec().module();
            for (Method step : steps) {
                if (step instanceof LowRankCorrection correction && correction.matches(linear.spec())) {
                    linear.correct(correction.path(
                            factors.load(block.manager(), module + ".A"),
                            factors.load(block.manager(), module + ".B"),
                            quantization
                                    .formats(linear.spec().weightName())
                                    .activation()
                                    .dynamic()));
                }
            }
        }
    }

    /** The folder of what was learned. */
    Path parameters() {
        return folder.resolve(PARAMETERS);
    }

    /** The file of a block's tensors in the folder of the artifacts; it is there if a method changed any. */
    static Path weights(Path folder, int block) {
        return folder.resolve(WEIGHTS).resolve(BlockContext.blockFile(block));
    }

    /**
     * Gives a block as loaded the tensors that the methods made, if they changed any.
     *
     * @return the relative errors of the weights that are on their grid already, by module
     */
    static Map<String, Double> replaceTensors(Block block, Path weights) throws IOException {
        if (!Files.exists(weights)) {
            return Map.of();
        }
        try (Safetensors file = Safetensors.open(weights)) {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            for (String name : file.entries().keySet()) {
                tensors.put(name, file.load(block.manager(), name));
            }
            Map<String, Double> errors = roundingErrors(file);
            block.replace(tensors, linear -> errors.containsKey(linear.module()));
            return errors;
        }
    }

    private static Map<String, Double> roundingErrors(Safetensors file) throws IOException {
        return metadata(file, ROUNDING_ERRORS, new TypeReference<>() {});
    }

    /** The ranges of a block's inputs, by module, where transformations changed them. */
    static Map<String, Bounds> ranges(Path weights) throws IOException {
        if (!Files.exists(weights)) {
            return Map.of();
        }
        try (Safetensors file = Safetensors.open(weights)) {
            return metadata(file, RANGES, new TypeReference<>() {});
        }
    }

    private static <T> Map<String, T> metadata(Safetensors file, String key, TypeReference<Map<String, T>> type)
            throws IOException {
        try {
            return JsonMapper.shared().readValue(file.metadata().getOrDefault(key, "{}"), type);
        } catch (JacksonException e) {
            throw new IOException(file.file() + ": " + key + " cannot be read", e);
        }
    }

    @Override
    public void close() throws IOException {
        factors.close();
    }
}
