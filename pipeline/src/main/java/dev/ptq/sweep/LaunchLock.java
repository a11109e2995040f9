package dev.ptq.sweep;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The lock of the process that watches a launch: there is one at a time, and tasks see by it whether locks reach them.
 *
 * <p>The watching process also writes to a file again and again. A task that finds the lock free while that goes on
 * knows that locks are not shared; if it does not go on, the process is gone, and nothing is known.
 *
 * @param cache the folder of locks
 */
record LaunchLock(Path cache, String tag) {
    private static final Logger log = LoggerFactory.getLogger(LaunchLock.class);
    private static final int BEAT_SECONDS = 2;
    private static final int PATIENCE_SECONDS = 10;
    private static final int LOOKS_PER_SECOND = 4;

    private String name() {
        return "launch+" + tag.replace('/', '+');
    }

    private Path beats() {
        return cache.resolve(name() + ".alive");
    }

    /** Does work under the lock. */
    <T> T hold(LockFile.Work<T> work) throws IOException {
        Files.createDirectories(cache);
        return new LockFile(cache, name()).hold(() -> {
            Thread beating = new Thread(this::beat, "launch is alive");
            beating.setDaemon(true);
            Thread atExit = new Thread(() -> silence(beating), "launch ends");
            Runtime.getRuntime().addShutdownHook(atExit);
            try {
                Files.writeString(beats(), "");
                beating.start();
                return work.run();
            } finally {
                silence(beating);
                try {
                    Runtime.getRuntime().removeShutdownHook(atExit);
                } catch (IllegalStateException e) {
                    log.debug("the program is ending", e);
                }
            }
        });
    }

    private void beat() {
        try {
            for (int count = 1; !Thread.currentThread().isInterrupted(); count++) {
                TimeUnit.SECONDS.sleep(BEAT_SECONDS);
                Files.writeString(beats(), String.valueOf(count));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            log.debug("{}", beats(), e);
        }
    }

    private void silence(Thread beating) {
        beating.interrupt();
        try {
            beating.join(TimeUnit.SECONDS.toMillis(1));
            Files.deleteIfExists(beats());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            log.debug("{}", beats(), e);
        }
    }

    /**
     * Returns the problem that locks do not reach this machine, if it is certain.
     *
     * <p>Waits some seconds only if the lock is free though there is a trace of its holder.
     */
    Optional<String> problem() throws IOException {
        LockFile lock = new LockFile(cache, name());
        Optional<String> first = beatOf();
        if (first.isEmpty() || !lock.isFree()) {
            return Optional.empty();
        }
        for (int i = 0; i < PATIENCE_SECONDS * LOOKS_PER_SECOND; i++) {
            try {
                TimeUnit.MILLISECONDS.sleep(TimeUnit.SECONDS.toMillis(1) / LOOKS_PER_SECOND);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted");
            }
            if (!lock.isFree()) {
                return Optional.empty();
            }
            Optional<String> now = beatOf();
            if (now.isEmpty()) {
                return Optional.empty();
            }
            if (!now.equals(first)) {
                return Optional.of(cache + ": locks of other machines do not reach this one: its lock \"" + name()
                        + "\" is held and is free here. On Lustre mount the file system with flock, on NFS without nolock"
                        + " or local_lock; or take a results folder elsewhere");
            }
        }
        return Optional.empty();
    }

    private Optional<String> beatOf() throws IOException {
        try {
            FileTime modified = Files.getLastModifiedTime(beats());
            return Optional.of(modified + " " + Files.readString(beats()));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }
}
