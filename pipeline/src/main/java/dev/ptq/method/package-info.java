/**
 * Quantization methods, one file each, and the solvers and the trainer that they share.
 *
 * <ul>
 *   <li>{@link Composition} alone decides how steps go together. A step says when it acts ({@link Phase}) and what it
 *       needs ({@link Needs}); no stage asks which method it is dealing with.
 *   <li>Weights that a method changed are stored as codes and scales, including those that were only rounded to
 *       nearest after a transformation. Their values come back bit for bit, so a run from stored weights equals the
 *       run that stored them. Values without a code are stored beside the codes, with their positions.
 *   <li>Taking a low-rank part out of a weight ({@code of = "weight"}) is not a transformation: the input of the
 *       linear stays the same, so its statistics stay valid. A transformation after it would have to change that part
 *       too, and is refused.
 *   <li>QERA's factors come from the right singular vectors of {@code S E} and from {@code SᵀS}: {@code B = Σ Vᵀ},
 *       {@code A = E V Σ⁻¹}. This takes no root of the Hessian and inverts only {@code Σ}, so a singular Hessian is
 *       no special case. The Gram matrix {@code Eᵀ SᵀS E} is computed in double: in float32, a few large channels
 *       would leave 0.4 % more of the loss than necessary.
 *   <li>{@link BlockParametrization} is one function from parameters to the block's tensors, used in training and for
 *       the result, so there is no separate folding code to keep in step. Inverses are computed in float64.
 *   <li>Training keeps the parameters with the lowest loss over all samples. It compares the start and ten
 *       evaluations, computed with the kernels that run at the end. No block ends worse than it began, and
 *       {@code loss_final} is what an evaluation of the block would find.
 *   <li>After a block is trained, the quantized path goes through it exactly as it will run, with low-rank paths and
 *       rounded activations, even for methods that train with unrounded ones.
 *   <li>Between queries and keys, only what commutes with the rotary positions is learned by default: one factor per
 *       pair of channels and, in AffineQuant, one rotation. Released code learns free scales, which change the
 *       function; {@code q_k = "free"} does the same.
 *   <li>The rows of AffineQuant's matrices are kept strictly diagonally dominant after every step. Released code puts
 *       a floor under every element instead, which can make a matrix singular.
 *   <li>A training step cannot be cut into independent pieces. Small blocks train on one thread, where two would wait
 *       for each other and take a third longer; large ones use a fixed number of engine threads, see
 *       {@link dev.ptq.tensor.Parallel#onEngineThreads}.
 * </ul>
 */
@NullMarked
package dev.ptq.method;

import org.jspecify.annotations.NullMarked;
