/**
 * Finished runs told to a tracking server. Only here and in {@code hub} are connections opened, and only where a command
 * was told to.
 *
 * <ul>
 *   <li>MLflow's client for Java brings libraries of its own, and half a dozen requests are needed here: they are made with
 *       the JDK's client.
 *   <li>Nothing is remembered of what was sent: the server is asked for the fingerprint of a run. What it did not take is
 *       noted beside the results.
 * </ul>
 */
@NullMarked
package dev.ptq.track;

import org.jspecify.annotations.NullMarked;
