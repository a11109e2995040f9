/**
 * The tensor engine and its settings, native memory, missing operators, and loops over independent pieces.
 *
 * <ul>
 *   <li>Results do not depend on the number of threads. The engine splits products, decompositions and sums by the
 *       number of its threads and by the processor: with two threads in place of one, oneDNN's product of [2048, 64]
 *       and [64, 64], LAPACK's eigenvectors from 200 rows on, and means over all values differ in their last bits,
 *       and SiLU differs where a thread's share ends between two vectors. So each caller has one thread of the
 *       engine, and {@link Parallel} runs pieces side by side that follow from the data alone. On two processors this
 *       is as fast as the engine's own threads, and faster for small tensors.
 *   <li>{@code THP_MEM_ALLOC_ENABLE} is not set: large pages made softmax and batched products up to three times
 *       slower.
 * </ul>
 */
@NullMarked
package dev.ptq.tensor;

import org.jspecify.annotations.NullMarked;
