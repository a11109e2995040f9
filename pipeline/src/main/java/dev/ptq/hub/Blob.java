package dev.ptq.hub;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.function.LongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The content of a file, stored under its digest. */
final class Blob {
    private static final Logger log = LoggerFactory.getLogger(Blob.class);
    private static final int BUFFER = 1 << 16;
    /** A connection that brought this many bytes counts as no failure, however it ended. */
    private static final long PROGRESS = 1 << 20;

    private final Path file;
    private final Path partial;
    private final HubClient.Remote remote;

    /** The end of an answer: how many bytes of the file are there, and the error. */
    private record Ended(long size, String trouble) {}

    Blob(Path folder, HubClient.Remote remote) {
        this.file = folder.resolve(remote.digest());
        // other programs append to DIGEST.incomplete
        this.partial = folder.resolve(remote.digest() + ".ptq.incomplete");
        this.remote = remote;
    }

    boolean exists() {
        try {
            return Files.isRegularFile(file) && Files.size(file) == remote.size();
        } catch (IOException e) {
            log.debug("{}: is fetched again", file, e);
            return false;
        }
    }

    long bytesToCome() {
        return remote.size() - size();
    }

    private long size() {
        try {
            return Files.exists(partial) ? Math.min(Files.size(partial), remote.size()) : 0;
        } catch (IOException e) {
            return 0;
        }
    }

    /**
     * Fetches the content, resuming a partial download.
     *
     * @param note is given the bytes that came, or were lost
     */
    void download(HubClient client, HubSettings settings, HubRepo repo, URI uri, LongConsumer note) throws IOException {
        int wrong = 0;
        Retries retries = settings.retries();
        while (true) {
            long before = size();
            Ended ended = before == remote.size() && Files.exists(partial)
                    ? new Ended(before, "")
                    : receive(client, settings, repo, uri, retries, note);
            if (ended.size() == remote.size() && ended.trouble().isEmpty()) {
                if (digest().equals(remote.digest())) {
                    Hub.move(partial, file);
                    return;
                }
                Files.delete(partial);
                note.accept(-remote.size());
                ended = new Ended(0, "its content is not what the hub promised: expected " + remote.digest());
                wrong++;
            }
            if (wrong == 2) {
                throw new IOException(
                        HubClient.shown(uri) + ": " + ended.trouble() + ", twice; nothing of it was kept");
            }
            if (ended.size() - before >= PROGRESS) {
                retries.progress();
            }
            retries.failed(
                    uri,
                    ended.trouble() + ", with " + ended.size() + " of " + remote.size() + " bytes there",
                    Optional.empty());
        }
    }

    private Ended receive(
            HubClient client, HubSettings settings, HubRepo repo, URI uri, Retries retries, LongConsumer note)
            throws IOException {
        HttpResponse<InputStream> answer = client.open(repo, uri, size(), retries);
        try (InputStream in = new WatchedStream(answer.body(), settings.stall());
                FileChannel out = FileChannel.open(
                        partial, StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
            long start = out.size();
            String range = answer.headers().firstValue("Content-Range").orElse("");
            if (answer.statusCode() != 206) {
                note.accept(-Math.min(start, remote.size()));
                out.truncate(0);
                if (answer.statusCode() != 200) {
                    return new Ended(0, "answers " + answer.statusCode() + " when asked for the rest");
                }
            } else if (!range.equals("bytes " + start + "-" + (remote.size() - 1) + "/" + remote.size())) {
                note.accept(-start);
                out.truncate(0);
                return new Ended(0, "answers with another range than was asked for, \"" + range + "\"");
            }
            return copy(in, out, note);
        }
    }

    private Ended copy(InputStream in, FileChannel out, LongConsumer note) throws IOException {
        byte[] buffer = new byte[BUFFER];
        long size = out.size();
        out.position(size);
        while (true) {
            int count;
            try {
                count = in.read(buffer);
            } catch (IOException e) {
                return new Ended(size, "the connection broke: " + e.getMessage());
            }
            if (count < 0) {
                return new Ended(size, size == remote.size() ? "" : "ended early");
            }
            if (size + count > remote.size()) {
                out.truncate(0);
                note.accept(-size);
                return new Ended(0, "sends more than the " + remote.size() + " bytes that the file has");
            }
            for (ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, count); bytes.hasRemaining(); ) {
                size += out.write(bytes);
            }
            note.accept(count);
        }
    }

    /** Returns the digest of the kind expected, judged by its length: SHA-256, or a git blob's. */
    private String digest() throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance(remote.digest().length() == 64 ? "SHA-256" : "SHA-1");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has it", e);
        }
        if (remote.digest().length() != 64) {
            digest.update(("blob " + remote.size() + "\0").getBytes(StandardCharsets.US_ASCII));
        }
        byte[] buffer = new byte[BUFFER];
        try (InputStream in = Files.newInputStream(partial)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
