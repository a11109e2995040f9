/** TOML tables to values, with positions and problems, and back to TOML. Knows no domain. */
@NullMarked
package dev.ptq.config;

import org.jspecify.annotations.NullMarked;
