/** Statistics of activations, one file per statistic. */
@NullMarked
package dev.ptq.calibrate;

import org.jspecify.annotations.NullMarked;
