/**
 * Reads the experiment files of LQER (ICML 2024) and writes each as one of ours.
 *
 * <ul>
 *   <li>A file is read for what LQER's code does with it. A missing key has that code's default, not ours
 *       ({@code skip_first_dim} is true, a block is {@code [16]}). Ranks and weight formats, which such a file states
 *       twice, are compared.
 *   <li>A file of a baseline ({@code evaluate_baseline}) quantizes nothing by itself: it names a packed checkpoint, which
 *       needs no {@code [quantization]}, or a model that bitsandbytes rounds while loading it.
 * </ul>
 */
@NullMarked
package dev.ptq.lqer;

import org.jspecify.annotations.NullMarked;
