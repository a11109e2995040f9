package dev.ptq.stage;

import dev.ptq.method.BlockContext;
import dev.ptq.progress.Progress;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reports training: each step to a progress, each trained block to the log. */
final class TrainingLog {
    private static final Logger log = LoggerFactory.getLogger(TrainingLog.class);

    private TrainingLog() {}

    /** Reports the training steps of a block to a progress. */
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

    /** Logs the training of a block. */
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
