package dev.ptq.method;

import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.model.LinearSpec;
import java.io.IOException;
import java.util.List;
import java.util.Set;

/**
 * A step of {@code [[approximation]]}: a record that is its own settings. It is listed in {@link Methods}.
 */
public interface Method {
    /** The word in configs. */
    String name();

    /** What calibration must collect for it. */
    Set<Statistic> statistics();

    /** Reports to {@code table} what does not fit a model with these linears. */
    void check(List<LinearSpec> linears, ConfigTable table);

    /** Works on one block. */
    void apply(BlockWork work) throws IOException;
}
