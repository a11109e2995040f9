/**
 * Reads the experiment files of LQER (ICML 2024) and writes each as one of ours.
 *
 * <ul>
 *   <li>A file is read for what LQER's code does with it. A missing key has that code's default, not ours
 *       ({@code skip_first_dim} is true, a block is {@code [16]}). Ranks and weight formats, which such a file states
 *       twice, are compared.
 * </ul>
 */
@NullMarked
package dev.ptq.lqer;

import org.jspecify.annotations.NullMarked;
