/**
 * Perplexity by protocol, intervals for the difference of two models, and samples of text.
 *
 * <ul>
 *   <li>In a resample, a chunk keeps its weight in the protocol's mean loss. The batches of protocol {@code lqer} are
 *       not drawn anew, so the interval belongs to the difference beside it.
 *   <li>Two inputs form one tree if the tokens saved cost more than the masked scores added ({@link PrefixTrees}). A
 *       token is priced at six scores per hidden channel, an estimate from the matrix products; half or twice that
 *       price takes about as long. Perplexity of protocol {@code rolling} uses no trees.
 * </ul>
 */
@NullMarked
package dev.ptq.evaluate;

import org.jspecify.annotations.NullMarked;
