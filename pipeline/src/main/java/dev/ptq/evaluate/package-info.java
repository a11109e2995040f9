/** What a model makes of text: perplexity by protocol, intervals for what separates two models, and samples. */
@NullMarked
package dev.ptq.evaluate;

import org.jspecify.annotations.NullMarked;
