/**
 * Models of finished runs as Hugging Face folders.
 *
 * <ul>
 *   <li>A folder holds what the run holds, or there is no folder: what changes the function that the model computes and has
 *       no place in the layout is refused. What only rounds activations is listed, since weights alone are worth having.
 *   <li>No value is rounded that the user did not ask to be: by default all are stored in float32.
 *   <li>Memory follows a block and its codes. The folder gets its name once all is written.
 * </ul>
 */
@NullMarked
package dev.ptq.export;

import org.jspecify.annotations.NullMarked;
