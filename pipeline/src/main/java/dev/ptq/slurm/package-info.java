/**
 * Slurm's commands as processes, the text of its scripts, and what its words mean. Knows nothing of experiments.
 *
 * <ul>
 *   <li>Only what every release has in the same form: {@code sbatch --parsable}, {@code squeue} with a format, {@code
 *       scontrol} and {@code scancel}. No JSON, whose form changes, and no {@code sacct}, which needs a database.
 * </ul>
 */
@NullMarked
package dev.ptq.slurm;

import org.jspecify.annotations.NullMarked;
