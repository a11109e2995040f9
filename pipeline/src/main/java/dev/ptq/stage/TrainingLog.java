package dev.ptq.stage;

import dev.ptq.method.BlockContext;
import dev.ptq.progress.Progress;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells progress of each step of training, and the log of each block that was trained. */
final class TrainingLog {
    private static final Logger log = LoggerFactory.getLogger(TrainingLog.class);

    private TrainingLog() {}

    /** Has progress told of the steps of a block. */
    static void follow(BlockContext context, Progress progress, long before) {
        context.onStep(new Runnable() {
            private long done = before;

            @Override
            public void run() {
                done++;
                progress.step(done);
            }
        });
    }

    /** Logs what training did to a block. */
    static void report(BlockContext context) {
        for (BlockContext.BlockReport report : context.blockReports()) {
            log.info(
                    "block {}: {}: loss {} rounded to nearest, {} at the start, {} after step {} of {}, {} s",
                    report.block(),
                    report.method(),
                    significant(report.nearestLoss()),
                    significant(report.initialLoss()),
                    significant(report.finalLoss()),
                    report.bestStep(),
                    report.steps(),
                    String.format(Locale.ROOT, "%.1f", report.seconds()));
        }
    }

    private static String significant(double loss) {
        return String.format(Locale.ROOT, "%.4g", loss);
    }
}
