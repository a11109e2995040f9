package dev.ptq.hub;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Retries transient failures after growing waits, up to a number of times in a row. One instance belongs to one goal,
 * such as the bytes of a file, and covers everything that can fail on the way: whether a broken connection shows before
 * the answer or in the middle of it is chance, and both are the same failure.
 */
final class Retries {
    private static final Logger log = LoggerFactory.getLogger(Retries.class);
    private static final int MOST = 5;
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(60);

    private final Duration firstWait;
    private int failed;

    Retries(Duration firstWait) {
        this.firstWait = firstWait;
    }

    /** Forgets earlier failures: enough data has come since. */
    void progress() {
        failed = 0;
    }

    /**
     * Returns when it is time to try again.
     *
     * @param asked how long the server asks to be left alone, if it says so
     * @throws IOException saying what failed, if there is to be no other try
     */
    void failed(URI uri, String trouble, Optional<Duration> asked) throws IOException {
        failed++;
        if (asked.isPresent() && asked.get().compareTo(LONGEST_WAIT) > 0) {
            throw new IOException(HubClient.shown(uri) + ": " + trouble + ", and wants to be left alone for "
                    + asked.get().toSeconds() + " s; the same command goes on from here then");
        }
        if (failed == MOST) {
            throw new IOException(HubClient.shown(uri) + ": " + trouble + ", asked " + MOST
                    + " times; the same command goes on from here");
        }
        Duration wait = asked.orElse(firstWait.multipliedBy(1L << (failed - 1)));
        log.info("{}: {}; trying again in {} s", HubClient.shown(uri), trouble, wait.toMillis() / 1000.0);
        try {
            Thread.sleep(wait.toMillis());
        } catch (InterruptedException e) {
            throw HubClient.interrupted();
        }
    }
}
