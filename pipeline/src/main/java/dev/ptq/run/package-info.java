/** The engine that runs stages once, keeps their artifacts, and finishes directories atomically. Knows no domain. */
@NullMarked
package dev.ptq.run;

import org.jspecify.annotations.NullMarked;
