package dev.ptq.progress;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs a line for each tenth of the work, at least two seconds apart, and one at the end. */
final class LogLines implements Progress {
    private static final Logger log = LoggerFactory.getLogger(Progress.class);
    private static final double SECONDS_BETWEEN = 2;

    private final String what;
    private final long total;
    private final String unit;
    private final LongSupplier nanoTime;
    private final Consumer<String> sink;
    private final long start;
    private double lastSeconds;
    private long lastTenth;

    LogLines(String what, long total, String unit) {
        this(what, total, unit, System::nanoTime, log::info);
    }

    LogLines(String what, long total, String unit, LongSupplier nanoTime, Consumer<String> sink) {
        this.what = what;
        this.total = total;
        this.unit = unit;
        this.nanoTime = nanoTime;
        this.sink = sink;
        this.start = nanoTime.getAsLong();
    }

    @Override
    public synchronized void step(long done) {
        long tenth = total == 0 ? 10 : 10 * done / total;
        double seconds = (nanoTime.getAsLong() - start) / 1e9;
        boolean last = done >= total;
        if (tenth > lastTenth && (last || seconds - lastSeconds >= SECONDS_BETWEEN)) {
            sink.accept(line(done, seconds, last));
            lastTenth = tenth;
            lastSeconds = seconds;
        }
    }

    private String line(long done, double seconds, boolean last) {
        double rate = done / Math.max(seconds, 1e-3);
        String time = last ? rounded(seconds) + " s" : (long) Math.ceil((total - done) / rate) + " s left";
        return what + ": " + done + " of " + total + " " + unit + ", " + rounded(rate) + " " + unit + "/s, " + time;
    }

    private static String rounded(double value) {
        return new BigDecimal(value)
                .round(new MathContext(3))
                .stripTrailingZeros()
                .toPlainString();
    }

    @Override
    public void close() {}
}
