package dev.ptq.lock;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A lock held by at most one thread of all processes, and released when its process dies.
 *
 * <p>The system locks files for processes, not threads, so a semaphore per file comes first. Lock files are empty, and
 * only the holder may delete one: a thread that waited for it notices, and locks the file that is there now.
 */
public record LockFile(Path folder, String name) {
    /** The ending of lock file names. */
    public static final String ENDING = ".lock";

    private static final Logger log = LoggerFactory.getLogger(LockFile.class);
    private static final Map<Path, Semaphore> THREADS = new ConcurrentHashMap<>();

    /** Work to be done under a lock. */
    public interface Work<T> {
        T run() throws IOException;
    }

    /** Does the work under the lock, waiting for it if necessary. */
    public <T> T hold(Work<T> work) throws IOException {
        Path file = file();
        Semaphore threads = threads(file);
        if (!threads.tryAcquire()) {
            log.info("{}: waiting for another thread that is working on it", name);
            threads.acquireUninterruptibly();
        }
        try {
            return locked(file, true, work).orElseThrow();
        } finally {
            threads.release();
        }
    }

    /** Does the work under the lock if nobody holds it now; otherwise does nothing and returns empty. */
    public <T> Optional<T> ifFree(Work<T> work) throws IOException {
        Path file = file();
        Semaphore threads = threads(file);
        if (!threads.tryAcquire()) {
            return Optional.empty();
        }
        try {
            return locked(file, false, work);
        } finally {
            threads.release();
        }
    }

    /** Returns whether nobody holds the lock now. Leaves no lock file where there was none. */
    public boolean isFree() throws IOException {
        return !Files.exists(file()) || ifFree(() -> true).isPresent();
    }

    /** Deletes the lock file; call it only under the lock. */
    public void delete() throws IOException {
        Files.deleteIfExists(file());
    }

    private <T> Optional<T> locked(Path file, boolean wait, Work<T> work) throws IOException {
        while (true) {
            Optional<Object> before = identity(file);
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                if (!lock(channel, file, wait)) {
                    return Optional.empty();
                }
                // another file of that name has another identity as long as this one is open
                if (before.isPresent() && before.equals(identity(file))) {
                    return Optional.of(work.run());
                }
            }
        }
    }

    private boolean lock(FileChannel channel, Path file, boolean wait) throws IOException {
        try {
            if (channel.tryLock() != null) {
                return true;
            }
            if (wait) {
                log.info("{}: waiting for another process that is working on it", name);
                channel.lock();
            }
            return wait;
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            throw refused(file, e);
        }
    }

    /** A file system without locks: the system says only "No locks available" or "Function not implemented". */
    static IOException refused(Path file, IOException reason) {
        return new IOException(
                file + ": cannot be locked (" + reason.getMessage() + "). Processes that share this folder need locks:"
                        + " on Lustre mount it with flock, on NFS with lockd and without nolock, or take a folder on"
                        + " another file system",
                reason);
    }

    /** Tells a file from a later one of the same name; the path where the system has no such identity. */
    private static Optional<Object> identity(Path file) throws IOException {
        try {
            Object key = Files.readAttributes(file, BasicFileAttributes.class).fileKey();
            return Optional.of(key == null ? file : key);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    private Path file() throws IOException {
        return folder.toRealPath().resolve(name + ENDING);
    }

    private static Semaphore threads(Path file) {
        return THREADS.computeIfAbsent(file, key -> new Semaphore(1));
    }
}
