/** The recipe of the reference model: its tokenizer, its optimizer loop, and the model folder it ends in. */
@NullMarked
package dev.ptq.train;

import org.jspecify.annotations.NullMarked;
