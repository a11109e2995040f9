/** Where weights come from: checkpoints, safetensors files, and the folders and shipped models they are in. */
@NullMarked
package dev.ptq.weights;

import org.jspecify.annotations.NullMarked;
