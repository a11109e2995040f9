/**
 * The recipe of the reference model: tokenizer, optimizer loop, model folder, and the trigram model that it must beat.
 */
@NullMarked
package dev.ptq.train;

import org.jspecify.annotations.NullMarked;
