/** Locks between threads and processes. Knows no domain. */
@NullMarked
package dev.ptq.lock;

import org.jspecify.annotations.NullMarked;
