/** What the program takes from its surroundings. Knows no domain. */
@NullMarked
package dev.ptq.environment;

import org.jspecify.annotations.NullMarked;
