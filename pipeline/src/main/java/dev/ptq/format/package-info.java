/**
 * Number formats: rounding to them and back, and the storage that a value takes in them.
 *
 * <ul>
 *   <li>With {@code granularity = "tensor"}, and in {@code nvfp4}, an activation has one scale per sequence, so
 *       results do not depend on the batch. Only where a config asks for it do they, see {@link
 *       dev.ptq.format.NumberFormat#spansBatch}: such a batch goes through a block in one piece.
 * </ul>
 */
@NullMarked
package dev.ptq.format;

import org.jspecify.annotations.NullMarked;
