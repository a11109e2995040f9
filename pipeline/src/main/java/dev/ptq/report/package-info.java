/** Results as tables for people and programs. */
@NullMarked
package dev.ptq.report;

import org.jspecify.annotations.NullMarked;
