package dev.ptq.environment;

import java.nio.file.Path;

/** The user's cache folder, for files that can be made again at any time. */
public final class CacheFolder {
    private CacheFolder() {}

    /** Returns the folder {@code PTQ_CACHE}, or {@code ~/.cache/ptq}. It need not exist. */
    public static Path path() {
        String given = System.getenv("PTQ_CACHE");
        return given != null ? Path.of(given) : Path.of(System.getProperty("user.home"), ".cache", "ptq");
    }
}
