/** Checkpoints, decoder blocks, and the runner that takes hidden states through them a block at a time. */
@NullMarked
package dev.ptq.model;

import org.jspecify.annotations.NullMarked;
