package dev.ptq.hub;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The locations of the hub and its cache, from the environment variables of Hugging Face's own programs; a Java
 * property of the same name takes precedence.
 *
 * <p>Not a record: its text would show the token.
 */
public final class HubSettings {
    private static final Set<String> YES = Set.of("1", "on", "yes", "true");
    private static final Set<String> THIS_MACHINE = Set.of("localhost", "127.0.0.1", "[::1]");

    private final Function<String, @Nullable String> variables;
    private final Duration firstWait;
    private final Duration stall;

    /** Reads variables when asked; {@code firstWait} precedes a second try, {@code stall} limits the wait for bytes. */
    HubSettings(Function<String, @Nullable String> variables, Duration firstWait, Duration stall) {
        this.variables = variables;
        this.firstWait = firstWait;
        this.stall = stall;
    }

    /** Returns the settings of this process. */
    public static HubSettings ofProcess() {
        return new HubSettings(
                name -> System.getProperty(name, System.getenv(name)), Duration.ofMillis(500), Duration.ofSeconds(60));
    }

    private Optional<String> variable(String name) {
        return Optional.ofNullable(variables.apply(name)).map(String::strip).filter(value -> !value.isEmpty());
    }

    /** Returns the hub's address, without a slash at its end. */
    URI endpoint() {
        String address =
                variable("HF_ENDPOINT").orElse("https://huggingface.co").replaceFirst("/+$", "");
        try {
            URI uri = new URI(address);
            boolean web = "https".equals(uri.getScheme()) || "http".equals(uri.getScheme());
            if (web
                    && uri.getHost() != null
                    && uri.getUserInfo() == null
                    && uri.getRawQuery() == null
                    && uri.getRawFragment() == null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            throw new ConfigException(
                    "HF_ENDPOINT: expected an address such as https://huggingface.co, got \"" + address + "\"");
        }
        throw new ConfigException("HF_ENDPOINT: expected an address such as https://huggingface.co, got another text");
    }

    /** Returns the folder of the cache. */
    Path cache() {
        return path("HF_HUB_CACHE").or(() -> path("HUGGINGFACE_HUB_CACHE")).orElseGet(() -> home().resolve("hub"));
    }

    private Path home() {
        return path("HF_HOME")
                .orElseGet(() -> path("XDG_CACHE_HOME")
                        .orElseGet(() -> Path.of(System.getProperty("user.home"), ".cache"))
                        .resolve("huggingface"));
    }

    private Optional<Path> path(String name) {
        return variable(name).map(value -> {
            try {
                return Path.of(value);
            } catch (InvalidPathException e) {
                throw new ConfigException(name + ": expected a path, got \"" + value + "\"");
            }
        });
    }

    /** Returns whether the environment forbids connections. */
    boolean offline() {
        return variable("HF_HUB_OFFLINE")
                .filter(value -> YES.contains(value.toLowerCase(Locale.ROOT)))
                .isPresent();
    }

    /** Returns the access token for private or gated repositories. */
    Optional<String> token() throws IOException {
        Optional<String> token = variable("HF_TOKEN");
        if (token.isEmpty()) {
            Path file = path("HF_TOKEN_PATH").orElseGet(() -> home().resolve("token"));
            if (Files.isRegularFile(file) && Files.size(file) < 4096) {
                token = Optional.of(Files.readString(file).strip()).filter(text -> !text.isEmpty());
            }
        }
        if (token.isPresent() && !token.get().matches("[!-~]+")) {
            throw new ConfigException("HF_TOKEN: expected letters, digits and signs on one line, got something else");
        }
        return token;
    }

    /** Returns whether others can read what is sent there. */
    static boolean isOpen(URI uri) {
        return !"https".equals(uri.getScheme()) && !THIS_MACHINE.contains(String.valueOf(uri.getHost()));
    }

    Retries retries() {
        return new Retries(firstWait);
    }

    Duration stall() {
        return stall;
    }
}
