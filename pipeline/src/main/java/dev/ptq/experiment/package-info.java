/** An experiment under a tag: planned, run, its metrics gathered, verified, and compared with another. */
@NullMarked
package dev.ptq.experiment;

import org.jspecify.annotations.NullMarked;
