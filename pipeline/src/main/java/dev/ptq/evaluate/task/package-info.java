/**
 * Tasks: documents become requests to a model, and its scores become metrics, by the EleutherAI harness's rules.
 *
 * <ul>
 *   <li>Tasks are cut into passes by the tokens of their requests alone, so a continued evaluation puts the same
 *       requests together. A line of an earlier attempt is kept if it is byte for byte the line that its own scores
 *       give now; this covers settings, data and tokenizer without further checks.
 *   <li>Tasks are encoded twice: once to check all of them before the first is scored, and again pass by pass. The
 *       ids of all requests would take more memory than the hidden states.
 * </ul>
 */
@NullMarked
package dev.ptq.evaluate.task;

import org.jspecify.annotations.NullMarked;
