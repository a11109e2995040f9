/** Number formats: rounding to them and back, and what a value costs in them. */
@NullMarked
package dev.ptq.format;

import org.jspecify.annotations.NullMarked;
