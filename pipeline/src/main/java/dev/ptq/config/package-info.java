/**
 * TOML tables to values, with positions and problems, and back to TOML. Knows no domain.
 *
 * <ul>
 *   <li>{@link FlatConfig} decides which settings become columns of a collected table. Of the settings that some runs
 *       lack entirely, most would only repeat another column.
 * </ul>
 */
@NullMarked
package dev.ptq.config;

import org.jspecify.annotations.NullMarked;
