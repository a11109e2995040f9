/**
 * Texts, tokenizers, and the token chunks that calibration and evaluation read.
 *
 * <ul>
 *   <li>The front matter of a data set's card is read with {@code snakeyaml-engine} (0.3 MB), which builds plain
 *       lists and maps only. Paths in it are patterns over the files that are present.
 * </ul>
 */
@NullMarked
package dev.ptq.data;

import org.jspecify.annotations.NullMarked;
