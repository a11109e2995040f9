/** Tasks: documents become requests to a model, and its scores become metrics, by the EleutherAI harness's rules. */
@NullMarked
package dev.ptq.evaluate.task;

import org.jspecify.annotations.NullMarked;
