/** Many experiments from one file: expands a sweep file into points and runs each as an ordinary run. */
@NullMarked
package dev.ptq.sweep;

import org.jspecify.annotations.NullMarked;
