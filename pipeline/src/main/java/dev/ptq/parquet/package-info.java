/**
 * Parquet files as rows of JSON. Knows no domain.
 *
 * <ul>
 *   <li>{@code parquet-column} decodes pages and assembles records; code of ours finds the pages. The library's own
 *       reader, {@code parquet-hadoop}, needs Hadoop's classes, hardwood needs Java 21, and DuckDB is 80 MB of native
 *       code in which a damaged file can end the process. All jars together have 6.6 MB, of which {@code jts-core}
 *       (1.2 MB) is there for a static initializer. Sizes in a file are checked before anything is allocated, and
 *       rows that take more than half of the Java machine's memory are refused: 130 KB can stand for 20 million rows.
 * </ul>
 */
@NullMarked
package dev.ptq.parquet;

import org.jspecify.annotations.NullMarked;
