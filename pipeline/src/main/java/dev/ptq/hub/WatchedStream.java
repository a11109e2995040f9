package dev.ptq.hub;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A response body that is given up when no more bytes come: the HTTP client would wait forever. */
final class WatchedStream extends FilterInputStream {
    private static final Logger log = LoggerFactory.getLogger(WatchedStream.class);
    private static final ScheduledExecutorService WATCH = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "watch answers");
        thread.setDaemon(true);
        return thread;
    });

    private final ScheduledFuture<?> watch;
    private volatile long last = System.nanoTime();

    WatchedStream(InputStream in, Duration stall) {
        super(in);
        long nanos = stall.toNanos();
        watch = WATCH.scheduleAtFixedRate(() -> giveUp(nanos), nanos / 4, nanos / 4, TimeUnit.NANOSECONDS);
    }

    private void giveUp(long nanos) {
        if (System.nanoTime() - last > nanos) {
            try {
                close();
            } catch (IOException e) {
                log.debug("closing an answer that stalled", e);
            }
        }
    }

    @Override
    public int read() throws IOException {
        int read = super.read();
        last = System.nanoTime();
        return read;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        int read = super.read(bytes, offset, length);
        last = System.nanoTime();
        return read;
    }

    @Override
    public void close() throws IOException {
        watch.cancel(false);
        super.close();
    }
}
