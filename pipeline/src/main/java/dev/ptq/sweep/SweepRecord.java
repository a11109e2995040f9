package dev.ptq.sweep;

import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * The contents of {@code sweep.json}: the record of a sweep.
 *
 * @param sweep the file, as it was named; absent if there was none
 * @param config the base, as it was named
 * @param axes {@code key=value,value} of the command line
 * @param set {@code key=value} for the base
 * @param started when the sweep was last run
 * @param ended when that was over; absent while it lasts, or if it was killed
 */
record SweepRecord(
        Optional<String> sweep,
        String config,
        List<String> axes,
        List<String> set,
        Instant started,
        Optional<Instant> ended,
        List<PointRecord> points) {}
