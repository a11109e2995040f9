/**
 * Where weights come from: checkpoints, safetensors files, and the folders and shipped models they are in.
 *
 * <ul>
 *   <li>A shipped model is copied from the jar to the cache, because checkpoints are memory-mapped and an entry of a
 *       jar cannot be. Each file gets its name only when it is complete, and every use compares digests.
 * </ul>
 */
@NullMarked
package dev.ptq.weights;

import org.jspecify.annotations.NullMarked;
