/** The commands: parse, call, print. */
@NullMarked
package dev.ptq.cli;

import org.jspecify.annotations.NullMarked;
