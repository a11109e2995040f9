/**
 * The engine that runs stages once, keeps their artifacts, and finishes directories atomically. Knows no domain.
 *
 * <ul>
 *   <li>A run notes the cache entries that it uses before it looks for the first one. Pruning locks an entry and then
 *       reads these notes, so an entry that a run has found stays, and one that it has not found yet is made again.
 * </ul>
 */
@NullMarked
package dev.ptq.run;

import org.jspecify.annotations.NullMarked;
