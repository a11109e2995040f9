package dev.ptq.hub;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The hub on this machine: its addresses and headers, and a second server that large files are redirected to. What it
 * does wrong is said before.
 */
public final class FakeHub implements AutoCloseable {
    /** How the bytes of a file are sent for once. */
    public sealed interface Fault {
        /** The connection ends after so many bytes. */
        record Drop(int after) implements Fault {}

        /** So many bytes come, then nothing more. */
        record Stall(int after) implements Fault {}

        /** The header promises so many bytes more, or fewer if negative, than there are. */
        record Length(int more) implements Fault {}

        /** Other bytes. */
        record Garbage() implements Fault {}

        /** More bytes than the file has, with a header that says so. */
        record More() implements Fault {}

        /** The whole file, whatever was asked for. */
        record IgnoreRange() implements Fault {}

        /** Another range than was asked for. */
        record OtherRange() implements Fault {}

        /** An error. */
        record Status(int code, Map<String, String> headers) implements Fault {}
    }

    private final HttpServer hub = server();
    private final HttpServer store = server();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Map<String, String> heads = new HashMap<>();
    private final Map<String, Map<String, byte[]>> snapshots = new HashMap<>();
    private final Map<String, byte[]> large = new HashMap<>();
    private final Map<String, Deque<Fault>> faults = new HashMap<>();
    private final Map<String, Optional<Map<String, String>>> answers = new HashMap<>();
    private boolean smallRedirect;

    /** What was asked: method, path, range, and whether there was a token; those of the second server with a plus. */
    public final List<String> requests = new CopyOnWriteArrayList<>();

    public FakeHub() throws IOException {
        hub.createContext("/", exchange -> guarded(exchange, "", this::answer));
        store.createContext("/", exchange -> guarded(exchange, "+", this::stored));
        for (HttpServer server : List.of(hub, store)) {
            server.setExecutor(threads);
            server.start();
        }
    }

    private static HttpServer server() throws IOException {
        return HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    }

    public String endpoint() {
        return "http://127.0.0.1:" + hub.getAddress().getPort();
    }

    /** Adds a commit to the main branch of {@code models/NAME} or {@code datasets/NAME}; returns it. */
    public synchronized String commit(String repo, Map<String, byte[]> files) {
        String commit = sha1(("commit" + snapshots.size() + repo).getBytes(StandardCharsets.UTF_8));
        heads.put(repo + "@main", commit);
        heads.put(repo + "@" + commit, commit);
        snapshots.put(repo + "@" + commit, new TreeMap<>(files));
        return commit;
    }

    /** As above, with the files of a folder. */
    public String commit(String repo, Path folder) throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        try (Stream<Path> paths = Files.walk(folder)) {
            for (Path path : paths.filter(Files::isRegularFile).toList()) {
                files.put(folder.relativize(path).toString().replace('\\', '/'), Files.readAllBytes(path));
            }
        }
        return commit(repo, files);
    }

    /** Gives a commit another name. */
    public synchronized void branch(String repo, String branch, String commit) {
        heads.put(repo + "@" + branch, commit);
    }

    /** What goes wrong when a file's bytes are asked for, in order; then nothing does. */
    public synchronized void fault(String name, Fault... inOrder) {
        faults.put(name, new ArrayDeque<>(Arrays.asList(inOrder)));
    }

    /** Answers anything below a path with headers alone, {@code status} among them. */
    public synchronized void answer(String path, Map<String, String> headers) {
        answers.put(path, Optional.of(headers));
    }

    /** Redirects small files within the hub, as it does of late. */
    public synchronized void redirectSmall() {
        smallRedirect = true;
    }

    public long asked(String part) {
        return requests.stream().filter(request -> request.contains(part)).count();
    }

    private interface Answer {
        void to(HttpExchange exchange) throws IOException;
    }

    private void guarded(HttpExchange exchange, String mark, Answer answer) throws IOException {
        Headers headers = exchange.getRequestHeaders();
        String range = Optional.ofNullable(headers.getFirst("Range")).orElse("");
        String token = Optional.ofNullable(headers.getFirst("Authorization")).orElse("");
        requests.add((mark + exchange.getRequestMethod() + " "
                        + exchange.getRequestURI().getRawPath() + " " + range + " " + token)
                .strip());
        try (exchange) {
            answer.to(exchange);
        }
    }

    private void answer(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        String raw = exchange.getRequestURI().getRawPath();
        Optional<Map<String, String>> given;
        synchronized (this) {
            given = answers.entrySet().stream()
                    .filter(entry -> path.startsWith(entry.getKey()))
                    .findFirst()
                    .flatMap(Map.Entry::getValue);
        }
        if (given.isPresent()) {
            headers(exchange, given.get());
        } else if (path.startsWith("/api/resolve-cache/")) {
            file(exchange, path.substring("/api/resolve-cache".length()), false);
        } else if (path.startsWith("/api/")) {
            String[] parts = raw.substring("/api/".length()).split("/revision/", -1);
            list(exchange, parts[0], parts[1].replace("%2F", "/"));
        } else {
            file(exchange, path, smallRedirect);
        }
    }

    private static void headers(HttpExchange exchange, Map<String, String> headers) throws IOException {
        headers.forEach((name, value) -> {
            if (!name.equals("status")) {
                exchange.getResponseHeaders().set(name, value);
            }
        });
        exchange.sendResponseHeaders(Integer.parseInt(headers.get("status")), -1);
    }

    private void list(HttpExchange exchange, String repo, String revision) throws IOException {
        String commit;
        synchronized (this) {
            commit = heads.get(repo + "@" + revision);
        }
        if (commit == null) {
            headers(exchange, Map.of("status", "404", "X-Error-Code", "RevisionNotFound"));
            return;
        }
        ObjectNode answer =
                JsonMapper.shared().createObjectNode().put("id", repo).put("sha", commit);
        var siblings = answer.putArray("siblings");
        snapshots
                .getOrDefault(repo + "@" + commit, Map.of())
                .keySet()
                .forEach(name -> siblings.addObject().put("rfilename", name));
        send(exchange, answer.toString().getBytes(StandardCharsets.UTF_8));
    }

    /** {@code /NAME/resolve/COMMIT/FILE}, or with {@code /datasets} before. */
    private void file(HttpExchange exchange, String path, boolean redirect) throws IOException {
        String[] parts = path.split("/resolve/", 2);
        String repo =
                (parts[0].startsWith("/datasets/") ? "" : "models") + parts[0].replaceFirst("^/datasets/", "datasets/");
        String commit = parts[1].substring(0, 40);
        String name = parts[1].substring(41);
        byte[] content = snapshots.getOrDefault(repo + "@" + commit, Map.of()).get(name);
        if (content == null) {
            headers(exchange, Map.of("status", "404", "X-Error-Code", "EntryNotFound"));
            return;
        }
        Headers headers = exchange.getResponseHeaders();
        headers.set("X-Repo-Commit", commit);
        if (isLarge(name)) {
            headers.set("X-Linked-Etag", "\"" + sha256(content) + "\"");
            headers.set("X-Linked-Size", String.valueOf(content.length));
            headers.set("ETag", "\"of the redirect\"");
            headers.set(
                    "Location",
                    "http://127.0.0.1:" + store.getAddress().getPort() + "/" + sha256(content) + "/" + name
                            + "?signature=secret-signature");
            synchronized (this) {
                large.put(sha256(content), content);
            }
            exchange.sendResponseHeaders(302, -1);
            return;
        }
        headers.set("ETag", "\"" + gitHash(content) + "\"");
        if (redirect) {
            headers.set("Location", "/api/resolve-cache" + path.replace(" ", "%20"));
            exchange.sendResponseHeaders(307, -1);
            return;
        }
        bytes(exchange, name, content);
    }

    private void stored(HttpExchange exchange) throws IOException {
        String[] parts = exchange.getRequestURI().getPath().split("/", 3);
        bytes(exchange, parts[2], Objects.requireNonNull(large.get(parts[1])));
    }

    private void bytes(HttpExchange exchange, String name, byte[] content) throws IOException {
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().set("Content-Length", String.valueOf(content.length));
            exchange.sendResponseHeaders(200, -1);
            return;
        }
        Fault fault;
        synchronized (this) {
            fault = faults.getOrDefault(name, new ArrayDeque<>()).poll();
        }
        if (fault instanceof Fault.Status status) {
            Map<String, String> headers = new HashMap<>(status.headers());
            headers.put("status", String.valueOf(status.code()));
            headers(exchange, headers);
            return;
        }
        String range = exchange.getRequestHeaders().getFirst("Range");
        int from = range == null || fault instanceof Fault.IgnoreRange
                ? 0
                : Integer.parseInt(range.substring("bytes=".length(), range.length() - 1));
        if (from > content.length) {
            headers(exchange, Map.of("status", "416"));
            return;
        }
        byte[] part = Arrays.copyOfRange(content, from, content.length);
        if (fault instanceof Fault.Garbage) {
            Arrays.fill(part, (byte) 'x');
        }
        if (fault instanceof Fault.More) {
            part = Arrays.copyOf(part, part.length + 7);
        }
        if (from > 0) {
            int said = fault instanceof Fault.OtherRange ? from - 1 : from;
            exchange.getResponseHeaders()
                    .set("Content-Range", "bytes " + said + "-" + (content.length - 1) + "/" + content.length);
        }
        int length = part.length + (fault instanceof Fault.Length lie ? lie.more() : 0);
        exchange.sendResponseHeaders(from > 0 ? 206 : 200, length == 0 ? -1 : length);
        send(exchange, part, fault);
    }

    private static void send(HttpExchange exchange, byte[] part, @Nullable Fault fault) throws IOException {
        OutputStream out = exchange.getResponseBody();
        if (fault instanceof Fault.Drop drop) {
            out.write(part, 0, Math.min(part.length, drop.after()));
            out.flush();
        } else if (fault instanceof Fault.Stall stall) {
            out.write(part, 0, Math.min(part.length, stall.after()));
            out.flush();
            try {
                Thread.sleep(60_000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // the end of the test
            }
        } else if (fault instanceof Fault.Length lie) {
            out.write(part, 0, part.length + Math.min(0, lie.more()));
            out.flush();
        } else {
            out.write(part);
        }
    }

    private static void send(HttpExchange exchange, byte[] content) throws IOException {
        exchange.sendResponseHeaders(200, content.length);
        exchange.getResponseBody().write(content);
    }

    private static boolean isLarge(String name) {
        return name.endsWith(".safetensors") || name.endsWith(".parquet") || name.endsWith(".bin");
    }

    public static String sha256(byte[] content) {
        return hash("SHA-256", content);
    }

    public static String gitHash(byte[] content) {
        byte[] head = ("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII);
        byte[] all = Arrays.copyOf(head, head.length + content.length);
        System.arraycopy(content, 0, all, head.length, content.length);
        return sha1(all);
    }

    private static String sha1(byte[] content) {
        return hash("SHA-1", content);
    }

    private static String hash(String algorithm, byte[] content) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(content));
        } catch (NoSuchAlgorithmException e) {
            throw new UncheckedIOException(new IOException(e));
        }
    }

    @Override
    public void close() {
        threads.shutdownNow();
        hub.stop(0);
        store.stop(0);
    }
}
