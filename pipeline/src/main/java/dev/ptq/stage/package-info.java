/**
 * The experiment file and its checks, and the four stages calibrate, approximate, quantize and evaluate.
 *
 * <ul>
 *   <li>Test-time adaptation is read from the table of its step but is not part of the step's settings. It is a stage
 *       for each text, and neither calibration nor the unadapted results depend on it. It trains with the trainer of
 *       calibration and scores with the code of evaluation, so 0 epochs give the unadapted figures to the last bit.
 * </ul>
 */
@NullMarked
package dev.ptq.stage;

import org.jspecify.annotations.NullMarked;
