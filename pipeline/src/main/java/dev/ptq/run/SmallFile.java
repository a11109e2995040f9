package dev.ptq.run;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** Reads files that anyone may have written: only plain files, no links, and only small ones. */
public final class SmallFile {
    /** A limit above every file of its kind that this program writes. */
    public static final int MOST_BYTES = 16 << 20;

    private SmallFile() {}

    /**
     * Reads a whole file.
     *
     * @throws IOException naming the file with its path if it is absent, no plain file, or larger than {@link
     *     #MOST_BYTES}
     */
    public static byte[] read(Path file) throws IOException {
        return read(file, file.toString(), MOST_BYTES);
    }

    /** Like {@link #read(Path)}, for a file called {@code name} in messages, of at most {@code mostBytes}. */
    public static byte[] read(Path file, String name, int mostBytes) throws IOException {
        try {
            BasicFileAttributes attributes =
                    Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            if (!attributes.isRegularFile()) {
                throw new IOException(name + ": expected a plain file");
            }
            requireSmall(name, attributes.size(), mostBytes);
            try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
                byte[] bytes = in.readNBytes(mostBytes + 1);
                requireSmall(name, bytes.length, mostBytes);
                return bytes;
            }
        } catch (NoSuchFileException e) {
            throw new IOException(name + ": missing", e);
        } catch (AccessDeniedException e) {
            throw new IOException(name + ": access denied", e);
        }
    }

    private static void requireSmall(String name, long size, int mostBytes) throws IOException {
        if (size > mostBytes) {
            throw new IOException(
                    name + ": expected at most " + (mostBytes >> 20) + " MiB, found " + (size >> 20) + " MiB or more");
        }
    }
}
