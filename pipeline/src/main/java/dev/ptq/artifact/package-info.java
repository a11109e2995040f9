/** What a run leaves, by name: its files, the columns of its tables, its metrics. Writers and readers ask here. */
@NullMarked
package dev.ptq.artifact;

import org.jspecify.annotations.NullMarked;
