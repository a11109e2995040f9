/** Texts, tokenizers, and the token chunks that calibration and evaluation read. */
@NullMarked
package dev.ptq.data;

import org.jspecify.annotations.NullMarked;
