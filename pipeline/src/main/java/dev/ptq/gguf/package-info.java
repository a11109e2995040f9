/**
 * GGUF files, and what they hold in the terms of a Hugging Face model folder: the keys of its config, its tokenizer, and
 * the names of its tensors. Knows no models.
 *
 * <ul>
 *   <li>The header is read and checked as a whole before anything else. No count in it is believed until the rest of the
 *       file could hold so many.
 *   <li>What a file asks for and is not known here is an error, never a guess: types, architectures, keys of an
 *       architecture, and ways to cut text.
 * </ul>
 */
@NullMarked
package dev.ptq.gguf;

import org.jspecify.annotations.NullMarked;
