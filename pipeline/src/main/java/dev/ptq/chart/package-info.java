/**
 * Charts as SVG. Knows no domain.
 *
 * <ul>
 *   <li>The layout of a chart depends on the width of letters on the machine that draws it, so tests compare what
 *       charts show, not their bytes.
 * </ul>
 */
@NullMarked
package dev.ptq.chart;

import org.jspecify.annotations.NullMarked;
