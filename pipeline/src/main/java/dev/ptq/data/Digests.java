package dev.ptq.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** Content hashes, which identify what results were made from. */
public final class Digests {
    private static final int BUFFER = 1 << 20;

    private Digests() {}

    /** SHA-256 of one file's content, in hexadecimal. */
    public static String of(Path file) throws IOException {
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
        return sha256().digest(text.getBytes(StandardCharsets.UTF_8));
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
