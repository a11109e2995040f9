/** Results as tables and as one page, for people and programs. */
@NullMarked
package dev.ptq.report;

import org.jspecify.annotations.NullMarked;
