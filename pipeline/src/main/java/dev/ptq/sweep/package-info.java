/**
 * Many experiments from one file: expands a sweep file into points and runs each as an ordinary run.
 *
 * <ul>
 *   <li>A point is a process that runs {@code ptq run}, one at a time unless {@code --jobs} says otherwise. The
 *       tensor engine is global to a process, and a crash in it ends the process; a process costs two seconds and
 *       gives all its memory back. Points share stages through the cache, which is made for several processes. The
 *       parent plans and checks, and compares the fingerprint of each finished run with the planned one.
 * </ul>
 */
@NullMarked
package dev.ptq.sweep;

import org.jspecify.annotations.NullMarked;
