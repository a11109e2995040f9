/** Quantization methods, one file each, and the solvers they share. */
@NullMarked
package dev.ptq.method;

import org.jspecify.annotations.NullMarked;
