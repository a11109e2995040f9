package dev.ptq.layout;

import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The way back into a layout: it packs weights that lie on grids. Each is unpacked again and compared; what the layout has
 * no place for is refused. One packer is for one checkpoint, whose description it gives in the end.
 */
public interface Packer {
    /**
     * Returns the tensors of a linear, by name behind its module's.
     *
     * @param module name of the linear
     * @param grid of its weight, {@code [outFeatures, inFeatures]}
     * @param input the format of its input, which is in the checkpoint if the layout {@link #describes} it
     * @throws IOException saying which setting the layout has a place for; the message does not name the linear
     */
    Map<String, RawTensor> pack(String module, Grid grid, NumberFormat input) throws IOException;

    /**
     * Returns the {@code quantization_config} of the checkpoint.
     *
     * @param unpacked modules that stay floating point numbers, the head included
     * @throws IOException if the description has no words for the mixture of modules
     */
    Map<String, @Nullable Object> config(List<String> unpacked) throws IOException;

    /** Returns whether the layout has words for the format of a packed linear's input. */
    default boolean describes(NumberFormat input) {
        return input.isNone();
    }

    /**
     * Returns the tensors of the cache of each attention module that has one, by name behind the module's, and describes it
     * in the {@link #config}; nothing if the layout has no words for it.
     *
     * @param caches by module
     */
    default Map<String, Map<String, RawTensor>> packCaches(Map<String, StoredActivations.Cache> caches) {
        return Map.of();
    }

    /** The packer of compressed-tensors. */
    static Packer compressedTensors(ScaleStore scales) {
        return new CompressedTensorsPacker(scales);
    }

    /** The packer of GPTQ, version 1, or 2 with zero points as they are. */
    static Packer gptq(ScaleStore scales, boolean isSecond) {
        return new GptqPacker(scales, isSecond);
    }

    /** The packer of AWQ. */
    static Packer awq(ScaleStore scales) {
        return new AwqPacker(scales);
    }
}
