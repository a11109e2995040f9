/** Numerics and storage: the tensor engine's start, native memory, missing operations, factorizations, safetensors files. */
@NullMarked
package dev.ptq.tensor;

import org.jspecify.annotations.NullMarked;
