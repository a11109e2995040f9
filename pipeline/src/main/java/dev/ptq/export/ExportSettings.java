package dev.ptq.export;

import dev.ptq.weights.StoredType;
import java.nio.file.Path;

/**
 * What is exported, and how.
 *
 * @param run folder of a finished run
 * @param target folder to be made; there must be nothing of its name
 * @param type of values that are not packed, F32 or BF16
 * @param roundScales whether scales of packed weights are rounded to float16
 * @param adapter the place of low-rank corrections
 * @param strict whether it is an error that the run rounds more than the folder shows
 */
public record ExportSettings(
        Path run,
        Path target,
        ExportFormat format,
        StoredType type,
        boolean roundScales,
        Adapter adapter,
        boolean strict) {}
