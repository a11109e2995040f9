package dev.ptq.run;

import java.nio.file.Path;

/**
 * A finished run.
 *
 * @param alreadyComplete whether it existed before, so that nothing was executed
 */
public record Run(Path directory, Manifest manifest, boolean alreadyComplete) {}
