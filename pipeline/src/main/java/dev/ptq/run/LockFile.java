package dev.ptq.run;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The right to make one thing, held by at most one thread of all processes, and given back when its process dies.
 *
 * <p>The system locks files for processes, not threads, so a semaphore per file comes first. Lock files are empty and
 * stay: deleting one while another process opens it would let both in.
 */
record LockFile(Path folder, String name) {
    private static final Logger log = LoggerFactory.getLogger(LockFile.class);
    private static final Map<Path, Semaphore> THREADS = new ConcurrentHashMap<>();

    /** What is done under a lock. */
    interface Work<T> {
        T run() throws IOException;
    }

    /** Work without a result. */
    interface Action {
        void run() throws IOException;
    }

    /** Works under the lock, after waiting for it if need be. */
    <T> T hold(Work<T> work) throws IOException {
        Path file = file();
        Semaphore threads = threads(file);
        if (!threads.tryAcquire()) {
            log.info("{}: another thread is at it, waiting", name);
            threads.acquireUninterruptibly();
        }
        try (FileChannel channel = open(file)) {
            if (channel.tryLock() == null) {
                log.info("{}: another process is at it, waiting", name);
                channel.lock();
            }
            return work.run();
        } finally {
            threads.release();
        }
    }

    /** Works under the lock if nobody holds it now, else does nothing. */
    void ifFree(Action work) throws IOException {
        Path file = file();
        Semaphore threads = threads(file);
        if (!threads.tryAcquire()) {
            return;
        }
        try (FileChannel channel = open(file)) {
            if (channel.tryLock() != null) {
                work.run();
            }
        } finally {
            threads.release();
        }
    }

    private Path file() throws IOException {
        return folder.toRealPath().resolve(name + ".lock");
    }

    private static Semaphore threads(Path file) {
        return THREADS.computeIfAbsent(file, key -> new Semaphore(1));
    }

    private static FileChannel open(Path file) throws IOException {
        return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    }
}
