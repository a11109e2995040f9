/** The Hugging Face hub: its cache on this machine, and what fetches files into it. Knows no domain. */
@NullMarked
package dev.ptq.hub;

import org.jspecify.annotations.NullMarked;
