/**
 * Model families: what {@code config.json} says of a decoder, as a description of its parts. A family is one file that
 * reads its keys and names its tensors; the forward pass is made of the parts and knows no family.
 *
 * <ul>
 *   <li>A key that is left out has the family's own default in the transformers library. Both spellings of configs are
 *       read: {@code rope_parameters} of version 5, and {@code rope_theta} with {@code rope_scaling} before it.
 *   <li>A key that changes the computation in a way that is not known here is an error, never ignored.
 * </ul>
 */
@NullMarked
package dev.ptq.family;

import org.jspecify.annotations.NullMarked;
