/** Scores of a model: perplexity by protocol, and intervals for what separates two of them. */
@NullMarked
package dev.ptq.evaluate;

import org.jspecify.annotations.NullMarked;
