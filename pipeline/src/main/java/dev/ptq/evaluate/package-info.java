/** What a model makes of text: perplexity by protocol, and samples of what it writes. */
@NullMarked
package dev.ptq.evaluate;

import org.jspecify.annotations.NullMarked;
