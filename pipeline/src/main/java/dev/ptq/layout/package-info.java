/**
 * Checkpoint layouts: how quantized weights lie in Hugging Face model folders, and what the folders say about activations.
 *
 * <ul>
 *   <li>A layout is found by the {@code quant_method} of {@code config.json}. Every setting that decides a value is
 *       checked: a guess would give weights that look right.
 *   <li>Scales, zero points and indices are checked when a folder is opened, before anything is computed; codes when a
 *       weight is read, since they are nearly the whole file. Neither stays in memory.
 *   <li>All layouts come down to a {@link dev.ptq.layout.CodedMatrix}: a table, codes into it, and scales. Values are
 *       {@code (table[code] - zeroPoint) · scale} in float32, with scales widened first.
 * </ul>
 */
@NullMarked
package dev.ptq.layout;

import org.jspecify.annotations.NullMarked;
