package dev.ptq.hub;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Optional;

/**
 * Sends requests to the hub. Transient failures are retried; the token is sent to the hub alone, never to where it
 * redirects, and no message contains the token or the query of an address, which may be a signature.
 */
final class HubClient {
    private static final int MOST_REDIRECTS = 5;
    private static final int MOST_LISTING = 64 << 20;
    private static final Duration CONNECT = Duration.ofSeconds(20);

    private final HubSettings settings;
    private final URI endpoint;
    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(CONNECT)
            .build();

    /**
     * The hub's description of a file.
     *
     * @param digest SHA-256 of a large file, the hash of its git blob of a small one
     */
    record Remote(String digest, long size) {}

    HubClient(HubSettings settings) {
        this.settings = settings;
        this.endpoint = settings.endpoint();
    }

    /** Returns the files of a repository. */
    HubListing list(HubRepo repo) throws IOException {
        URI uri = URI.create(endpoint + "/" + repo.api());
        HttpResponse<InputStream> answer = ask(repo, "GET", uri, 0, true, settings.retries());
        try (InputStream in = new WatchedStream(answer.body(), settings.stall())) {
            byte[] json;
            try {
                json = in.readNBytes(MOST_LISTING + 1);
            } catch (IOException e) {
                throw new IOException(shown(uri) + ": the connection broke: " + e.getMessage(), e);
            }
            if (json.length > MOST_LISTING) {
                throw new IOException(shown(uri) + ": answers with more than " + (MOST_LISTING >> 20) + " MiB");
            }
            return HubListing.of(repo, json, shown(uri));
        }
    }

    URI address(HubListing listing, String name) {
        return URI.create(
                endpoint + "/" + listing.repo().page() + "/resolve/" + listing.commit() + "/" + encoded(name));
    }

    /** Returns size and digest of a file, from the headers before any redirect to the storage of large files. */
    Remote look(HubRepo repo, URI uri) throws IOException {
        HttpResponse<InputStream> answer = ask(repo, "HEAD", uri, 0, false, settings.retries());
        answer.body().close();
        boolean linked = answer.headers().firstValue("X-Linked-Etag").isPresent();
        String digest = answer.headers()
                .firstValue(linked ? "X-Linked-Etag" : "ETag")
                .orElse("")
                .replaceFirst("^W/", "")
                .replace("\"", "");
        String size = answer.headers()
                .firstValue(linked ? "X-Linked-Size" : "Content-Length")
                .orElse("");
        if (!digest.matches("[0-9a-f]{64}|[0-9a-f]{40}") || !size.matches("[0-9]{1,15}")) {
            throw new IOException(
                    shown(uri) + ": expected its size and its SHA-256 or git hash in the headers, got size \"" + size
                            + "\" and hash \"" + digest + "\"; without them it cannot be checked");
        }
        return new Remote(digest, Long.parseLong(size));
    }

    /** Returns the bytes of a file, from an offset on if the server can, else from the start. */
    HttpResponse<InputStream> open(HubRepo repo, URI uri, long from, Retries retries) throws IOException {
        return ask(repo, "GET", uri, from, true, retries);
    }

    /** Returns an answer that is no failure; the caller closes it. */
    private HttpResponse<InputStream> ask(
            HubRepo repo, String method, URI uri, long from, boolean away, Retries retries) throws IOException {
        while (true) {
            String trouble;
            Optional<Duration> asked = Optional.empty();
            try {
                HttpResponse<InputStream> answer = redirected(method, uri, from, away);
                int status = answer.statusCode();
                if (status < 400 || status == 416) {
                    return answer;
                }
                answer.body().close();
                trouble = "answers " + status;
                if (status != 408 && status != 429 && status < 500) {
                    throw refused(repo, status, answer);
                }
                asked = answer.headers()
                        .firstValue("Retry-After")
                        .filter(seconds -> seconds.matches("[0-9]{1,6}"))
                        .map(seconds -> Duration.ofSeconds(Long.parseLong(seconds)));
            } catch (IOException e) {
                trouble = "does not answer: "
                        + (e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage());
            }
            retries.failed(uri, trouble, asked);
        }
    }

    /** Returns the answer at the end of redirects; with {@code away} false, the last one of the hub itself. */
    private HttpResponse<InputStream> redirected(String method, URI first, long from, boolean away) throws IOException {
        URI uri = first;
        for (int redirects = 0; ; redirects++) {
            HttpResponse<InputStream> answer = once(method, uri, from);
            String location = answer.headers().firstValue("Location").orElse("");
            boolean moved = answer.statusCode() >= 300 && answer.statusCode() < 400 && !location.isEmpty();
            if (!moved) {
                return answer;
            }
            URI next = next(uri, location);
            if (!away && !isHub(next)) {
                return answer;
            }
            answer.body().close();
            if (redirects == MOST_REDIRECTS) {
                throw new ConfigException(shown(first) + ": redirects more than " + MOST_REDIRECTS + " times");
            }
            uri = next;
        }
    }

    private static URI next(URI uri, String location) {
        URI next;
        try {
            next = uri.resolve(location);
        } catch (IllegalArgumentException e) {
            throw new ConfigException(shown(uri) + ": redirects to what is no address");
        }
        boolean web = "https".equals(next.getScheme()) || "http".equals(next.getScheme());
        if (!web || next.getHost() == null || ("https".equals(uri.getScheme()) && HubSettings.isOpen(next))) {
            throw new ConfigException(
                    shown(uri) + ": redirects to " + shown(next) + ", expected an address with https");
        }
        return next;
    }

    private HttpResponse<InputStream> once(String method, URI uri, long from) throws IOException {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri)
                .method(method, HttpRequest.BodyPublishers.noBody())
                .timeout(settings.stall())
                .header("User-Agent", "ptq")
                .header("Accept-Encoding", "identity");
        if (from > 0) {
            request.header("Range", "bytes=" + from + "-");
        }
        Optional<String> token = settings.token();
        if (token.isPresent() && isHub(uri) && !HubSettings.isOpen(uri)) {
            request.header("Authorization", "Bearer " + token.get());
        }
        try {
            return http.send(request.build(), BodyHandlers.ofInputStream());
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    static InterruptedIOException interrupted() {
        Thread.currentThread().interrupt();
        return new InterruptedIOException("interrupted");
    }

    private boolean isHub(URI uri) {
        return endpoint.getScheme().equals(uri.getScheme())
                && endpoint.getHost().equalsIgnoreCase(uri.getHost())
                && endpoint.getPort() == uri.getPort();
    }

    private ConfigException refused(HubRepo repo, int status, HttpResponse<InputStream> answer) throws IOException {
        String what = repo.kind().noun() + " " + repo.label();
        String code = answer.headers().firstValue("X-Error-Code").orElse("");
        boolean open = HubSettings.isOpen(endpoint);
        boolean token = settings.token().isPresent() && !open;
        String ask = open
                ? "set HF_ENDPOINT to an address with https, as no token is sent over plain http"
                : "set HF_TOKEN, from " + endpoint + "/settings/tokens";
        if (code.equals("GatedRepo") || (status == 403 && token)) {
            return new ConfigException(what + ": is not open to everybody: accept its terms at " + endpoint + "/"
                    + repo.page() + (token ? " with the account of your HF_TOKEN" : ", and " + ask));
        }
        if (code.equals("RevisionNotFound")) {
            return new ConfigException(what + ": has no revision \"" + repo.revision() + "\" on " + endpoint);
        }
        if (code.equals("EntryNotFound")) {
            return new ConfigException(what + ": " + shown(answer.uri()) + ": there is no such file any more");
        }
        if (status == 401 || status == 403 || status == 404) {
            return new ConfigException(what + ": " + endpoint + " answers " + status
                    + ": either there is none of that name, so check it, or it is private: "
                    + (token ? "the token in HF_TOKEN does not allow to read it" : ask));
        }
        return new ConfigException(what + ": " + shown(answer.uri()) + " answers " + status);
    }

    private static String encoded(String name) {
        try {
            return new URI(null, null, "/" + name, null)
                    .toASCIIString()
                    .substring(1)
                    .replace("?", "%3F")
                    .replace("#", "%23");
        } catch (java.net.URISyntaxException e) {
            throw new IllegalArgumentException(name, e);
        }
    }

    /** Returns an address without possible secrets. */
    static String shown(URI uri) {
        return uri.getScheme() + "://" + uri.getRawAuthority() + uri.getRawPath();
    }
}
