package dev.ptq.weights;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The models among the program's class files. They are used in place if that is a plain folder, and copied to a cache
 * if it is a jar: a checkpoint is mapped into memory, so it must be a file.
 *
 * @param classes finds the class files
 * @param cache for copies, each in a folder named after its content
 */
record ShippedModels(ClassLoader classes, Path cache) {
    /** The models, each with a one-line description. */
    static final Map<String, String> NAMES =
            Map.of("reference", "comes with the program: a llama of about 5 million parameters that writes English");

    /** The files of each model. */
    static final List<String> FILES = List.of(
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors",
            "README.md",
            "loss.csv",
            "loss.svg");

    private static final Logger log = LoggerFactory.getLogger(ShippedModels.class);
    private static final int DIGEST_IN_NAME = 8;

    /**
     * The folder of a model, copied now if necessary.
     *
     * @throws IOException if this build lacks the model, or the cache cannot be written
     */
    Path folder(String name) throws IOException {
        URL config = classes.getResource(resource(name, FILES.get(0)));
        if (config == null) {
            throw missing(name, FILES.get(0));
        }
        return config.getProtocol().equals("file")
                ? Objects.requireNonNull(Path.of(URI.create(config.toString())).getParent())
                : copied(name);
    }

    private Path copied(String name) throws IOException {
        Map<String, byte[]> digests = new LinkedHashMap<>();
        MessageDigest all = sha256();
        for (String file : FILES) {
            try (InputStream in = open(name, file)) {
                byte[] digest = digest(in);
                digests.put(file, digest);
                all.update(digest);
            }
        }
        Path folder = cache.resolve(name + "-" + HexFormat.of().formatHex(all.digest(), 0, DIGEST_IN_NAME));
        for (Map.Entry<String, byte[]> file : digests.entrySet()) {
            if (!holds(folder.resolve(file.getKey()), file.getValue())) {
                copy(name, file.getKey(), folder);
            }
        }
        return folder;
    }

    private static boolean holds(Path file, byte[] digest) throws IOException {
        if (!Files.isRegularFile(file)) {
            return false;
        }
        try (InputStream in = Files.newInputStream(file)) {
            if (Arrays.equals(digest(in), digest)) {
                return true;
            }
        }
        log.info("{}: is not what the program put there; it is replaced", file);
        return false;
    }

    /** Copies a file, which gets its name when complete; processes that do this at once replace it by an equal one. */
    private void copy(String name, String file, Path folder) throws IOException {
        Files.createDirectories(folder);
        Path partial = folder.resolve(file + ".partial-" + UUID.randomUUID());
        try (InputStream in = open(name, file)) {
            Files.copy(in, partial);
            Files.move(partial, folder.resolve(file), StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(partial);
        }
    }

    private InputStream open(String name, String file) throws IOException {
        InputStream in = classes.getResourceAsStream(resource(name, file));
        if (in == null) {
            throw missing(name, file);
        }
        return in;
    }

    private static IOException missing(String name, String file) {
        return new IOException("model " + name + ": this build of the program lacks its " + file);
    }

    private static String resource(String name, String file) {
        return "dev/ptq/weights/" + name + "/" + file;
    }

    private static byte[] digest(InputStream in) throws IOException {
        DigestInputStream digested = new DigestInputStream(in, sha256());
        digested.transferTo(OutputStream.nullOutputStream());
        return digested.getMessageDigest().digest();
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
