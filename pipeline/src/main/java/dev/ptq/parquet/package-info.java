/** Parquet files as rows of JSON. Knows no domain. */
@NullMarked
package dev.ptq.parquet;

import org.jspecify.annotations.NullMarked;
