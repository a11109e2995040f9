/** Reads the experiment files of LQER (ICML 2024) and writes each as one of ours. */
@NullMarked
package dev.ptq.lqer;

import org.jspecify.annotations.NullMarked;
