/** How far a long computation is: a bar on a terminal, lines in a log. */
@NullMarked
package dev.ptq.progress;

import org.jspecify.annotations.NullMarked;
