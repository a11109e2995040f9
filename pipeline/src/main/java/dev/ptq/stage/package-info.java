/** The experiment file and its checks, and the four stages calibrate, approximate, quantize and evaluate. */
@NullMarked
package dev.ptq.stage;

import org.jspecify.annotations.NullMarked;
