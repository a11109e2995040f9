/**
 * The Hugging Face hub: its cache on this machine, and the client that fetches files into it. Knows no domain.
 *
 * <ul>
 *   <li>The cache has the layout of Hugging Face's own programs, so each finds what the other fetched. In addition,
 *       {@code .ptq/COMMIT} lists all files of a commit; without it, part of a data set could not be told from the
 *       whole.
 * </ul>
 */
@NullMarked
package dev.ptq.hub;

import org.jspecify.annotations.NullMarked;
