package dev.ptq.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** Content hashes, which identify what results were made from. */
public final class Digests {
    private static final int BUFFER = 1 << 20;

    /** Longer than the steps of any file system's clock. */
    private static final Duration SETTLED = Duration.ofSeconds(3);

    private static final Map<Map<String, Object>, String> KNOWN = new ConcurrentHashMap<>();

    /** Of each thread, since to look one up takes longer than a short text; a digest leaves it as new. */
    private static final ThreadLocal<MessageDigest> OF_TEXT = ThreadLocal.withInitial(Digests::sha256);

    private Digests() {}

    /**
     * SHA-256 of one file's content, in hexadecimal. A file that did not change is read once: the points of a sweep have
     * one model.
     */
    public static String of(Path file) throws IOException {
        Optional<Map<String, Object>> version = version(file);
        if (version.isEmpty()) {
            return read(file);
        }
        String known = KNOWN.get(version.get());
        if (known == null) {
            known = read(file);
            if (version.equals(version(file))) {
                KNOWN.put(version.get(), known);
            }
        }
        return known;
    }

    /**
     * What changes with every change of a file; empty if it changed so recently that its next change may have the same
     * time, or where the system does not tell.
     */
    private static Optional<Map<String, Object>> version(Path file) throws IOException {
        try {
            Map<String, Object> version = Files.readAttributes(file, "unix:fileKey,size,lastModifiedTime,ctime");
            Object changed = version.get("ctime");
            boolean settled = changed instanceof FileTime time
                    && time.toInstant().isBefore(Instant.now().minus(SETTLED));
            return settled ? Optional.of(version) : Optional.empty();
        } catch (UnsupportedOperationException | IllegalArgumentException e) {
            return Optional.empty(); // no Unix
        }
    }

    private static String read(Path file) throws IOException {
        MessageDigest digest = sha256();
        byte[] buffer = new byte[BUFFER];
        try (InputStream in = Files.newInputStream(file)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** SHA-256 of the contents of several files in the given order. */
    public static String of(List<Path> files) throws IOException {
        MessageDigest digest = sha256();
        for (Path file : files) {
            digest.update(HexFormat.of().parseHex(of(file)));
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** SHA-256 of a text in UTF-8, in hexadecimal. */
    public static String hexOfText(String text) {
        return HexFormat.of().formatHex(ofText(text));
    }

    /** SHA-256 of a text in UTF-8. */
    static byte[] ofText(String text) {
        return OF_TEXT.get().digest(text.getBytes(StandardCharsets.UTF_8));
    }

    /** SHA-256 of texts in order, in hexadecimal. */
    static String ofTexts(List<String> texts) {
        MessageDigest digest = sha256();
        texts.forEach(text -> digest.update(ofText(text)));
        return HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
