package dev.ptq.layout;

import java.io.IOException;
import java.util.Set;

/** A way to store quantized weights, listed in {@link Layouts}. */
interface Layout {
    /** Returns the values of {@code quant_method} that it stands for. */
    Set<String> methods();

    /**
     * Reads the description of a checkpoint.
     *
     * @throws IOException naming the setting that is wrong, or not read
     */
    Reader reader(QuantizationConfig config) throws IOException;

    /** Reads the modules of one checkpoint. */
    interface Reader {
        /** Returns the names of a packed module's tensors, behind the module's; that of its bias is not among them. */
        Set<String> suffixes();

        /** Returns whether the description has a linear packed. */
        boolean packs(String module) throws IOException;

        /**
         * Checks all tensors of a packed module but its codes.
         *
         * @throws IOException naming the tensor at fault
         */
        PackedLinear open(ModuleTensors tensors) throws IOException;

        /** Returns the names of the scales of keys and values, behind their module's; empty if no cache is rounded. */
        default Set<String> cacheSuffixes() {
            return Set.of();
        }

        /** Returns the formats of the keys and values of a module that has such scales. */
        default StoredActivations.Cache cache(ModuleTensors scales) throws IOException {
            throw new IllegalStateException("no cache is rounded");
        }
    }
}
