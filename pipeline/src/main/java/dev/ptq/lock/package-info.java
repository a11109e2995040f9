/**
 * Locks between threads and processes. Knows no domain.
 *
 * <ul>
 *   <li>Whoever gets a lock checks that its file still has its name: pruning deletes lock files, but only while it
 *       holds their lock.
 * </ul>
 */
@NullMarked
package dev.ptq.lock;

import org.jspecify.annotations.NullMarked;
