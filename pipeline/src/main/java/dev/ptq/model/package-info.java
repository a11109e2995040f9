/**
 * Decoders made of the parts that a family describes, their forward pass, and the runner that takes hidden states block by
 * block.
 *
 * <ul>
 *   <li>Names of parameters and of a block's tensors are paths in the block, so experts cannot collide. A collision
 *       is an error.
 *   <li>Attention scores are divided by √headDim, not multiplied by its inverse. With 8-bit probabilities the last
 *       bit decides ties, and then whole chunks differ.
 *   <li>A pass is cut into pieces of a few sequences, which run side by side, each on one thread of the engine. The
 *       cut follows from the hidden states alone, because the number of rows in a product decides its last bits.
 *       Observers see the pieces in order ({@link ObserverTurns}), so sums do not depend on the number of threads
 *       either.
 *   <li>Attention over unrounded probabilities uses PyTorch's fused operator on a few queries at a time, with the
 *       keys before them; the operator itself skips next to nothing of a causal mask. Rounded probabilities are
 *       computed the same way where blocks lie in squares of 64 ({@code NumberFormat.roundsSquares}). The
 *       probabilities equal those of the whole matrix bit for bit. Their product with the values omits the zeros, so
 *       it may differ in the last bits.
 *   <li>With a rounded cache ({@link KvFormats}), a query may see a token in full precision that a later query sees
 *       rounded. Both products are then taken twice, a few queries at a time, and chosen from token by token
 *       ({@link Cached}); where all queries see the same, nothing is different.
 *   <li>Requests of tasks that begin alike are scored as trees ({@link TokenTree}), so that the shared part is
 *       computed once, but only where nothing but weights is rounded ({@link BlockRunner#roundsActivations}).
 *       Otherwise sequences of equal length go together without padding: a scale over several tokens would see the
 *       padding, and a sum in another order could become a step of the format.
 * </ul>
 */
@NullMarked
package dev.ptq.model;

import org.jspecify.annotations.NullMarked;
