package dev.ptq.hub;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What fails for a moment is tried again after waits that grow, but only so often in a row. One of these goes with what
 * is wanted, such as the bytes of a file, through all that can fail on the way to it: a connection that breaks is seen
 * before the answer or in the middle of it by chance, and both are the same failure.
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

    /** What failed before counts no more: enough came since to go on. */
    void progress() {
        failed = 0;
    }

    /**
     * Returns when it is time to try again.
     *
     * @param asked how long the server wants to be left alone, if it says so
     * @throws IOException saying what failed, if it is not to be tried again
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
