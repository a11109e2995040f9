/**
 * An experiment under a tag: planned, run, its metrics gathered, verified, and compared with another.
 *
 * <ul>
 *   <li>Reading an experiment opens no connection. Only {@code ptq fetch} does, and, with {@code --online}, a step
 *       before the run ({@link Downloads}) that fetches whatever the hub's cache lacks. So no stage has an online
 *       form, the points of a sweep find what their parent fetched, and a run stays the same until somebody fetches
 *       again.
 * </ul>
 */
@NullMarked
package dev.ptq.experiment;

import org.jspecify.annotations.NullMarked;
