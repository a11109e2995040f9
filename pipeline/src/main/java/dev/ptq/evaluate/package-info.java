/** Scores of a model: perplexity by protocol. */
@NullMarked
package dev.ptq.evaluate;

import org.jspecify.annotations.NullMarked;
