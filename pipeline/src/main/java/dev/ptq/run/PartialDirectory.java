package dev.ptq.run;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** A directory under construction: it gets its final name once everything is written, and is deleted otherwise. */
public final class PartialDirectory implements Closeable {
    /** The ending of a name for what is replaced. */
    static final String ASIDE = "~";

    private final Path path;
    private final Path replaced;

    private PartialDirectory(Path path) {
        this.path = path;
        this.replaced = path.resolveSibling(path.getFileName() + ASIDE);
    }

    /** Makes an empty directory; the remains of an earlier process are deleted. */
    public static PartialDirectory create(Path path) throws IOException {
        PartialDirectory partial = new PartialDirectory(path);
        partial.close();
        Files.createDirectories(path);
        return partial;
    }

    /** Where it is until then. */
    public Path path() {
        return path;
    }

    /** Gives the directory its final name. An existing one is moved aside first, so the name never shows a mixture. */
    public void publish(Path name) throws IOException {
        if (Files.exists(name, LinkOption.NOFOLLOW_LINKS)) {
            Files.move(name, replaced, StandardCopyOption.ATOMIC_MOVE);
        }
        Files.move(path, name, StandardCopyOption.ATOMIC_MOVE);
    }

    /**
     * Gives the directory its final name, which nothing must have yet.
     *
     * @throws java.nio.file.FileSystemException if something has
     */
    void publishNew(Path name) throws IOException {
        Files.move(path, name, StandardCopyOption.ATOMIC_MOVE);
    }

    @Override
    public void close() throws IOException {
        Trees.delete(path);
        Trees.delete(replaced);
    }
}
