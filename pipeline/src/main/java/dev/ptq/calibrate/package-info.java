/**
 * Statistics of activations, one file per statistic.
 *
 * <ul>
 *   <li>Statistics go to their file as soon as the next block begins, and matrices are read back one at a time,
 *       because the Hessians of a whole model do not fit in memory. The file gets its header first, so blocks are
 *       written in place and a killed pass can continue.
 *   <li>Accumulators count sequences themselves. How many of them come at once depends on the pass and changes no
 *       statistic.
 * </ul>
 */
@NullMarked
package dev.ptq.calibrate;

import org.jspecify.annotations.NullMarked;
