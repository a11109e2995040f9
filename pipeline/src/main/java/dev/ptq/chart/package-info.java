/** Charts as SVG. Knows no domain. */
@NullMarked
package dev.ptq.chart;

import org.jspecify.annotations.NullMarked;
