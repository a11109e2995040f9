package dev.ptq.track;

import dev.ptq.config.ConfigException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Where runs are sent, from the environment variables of MLflow's own programs.
 *
 * <p>Not a record: its text would show the token.
 */
public final class TrackingSettings {
    private static final Set<String> THIS_MACHINE = Set.of("localhost", "127.0.0.1", "[::1]");
    private static final String KIND = "mlflow:";
    private static final String DEFAULT_EXPERIMENT = "ptq";

    private final URI server;
    private final Optional<String> token;
    private final String experiment;

    private TrackingSettings(URI server, Optional<String> token, String experiment) {
        this.server = server;
        this.token = token;
        this.experiment = experiment;
    }

    /**
     * Reads the settings.
     *
     * @param to {@code mlflow:URI}; if absent, the variable {@code MLFLOW_TRACKING_URI} decides
     * @throws ConfigException if there is no address, or it or the token is none
     */
    public static TrackingSettings of(Optional<String> to, Function<String, @Nullable String> variables) {
        String address;
        if (to.isPresent()) {
            if (!to.get().startsWith(KIND)) {
                throw new ConfigException(
                        "--to: expected mlflow: and the address of a server, got \"" + to.get() + "\"");
            }
            address = to.get().substring(KIND.length());
        } else {
            address = variable(variables, "MLFLOW_TRACKING_URI")
                    .orElseThrow(() -> new ConfigException(
                            "MLFLOW_TRACKING_URI: is not set; expected the address of a server, such as"
                                    + " http://localhost:5000"));
        }
        URI server = address(address);
        Optional<String> token = variable(variables, "MLFLOW_TRACKING_TOKEN");
        if (token.isPresent() && !token.get().matches("[!-~]+")) {
            throw new ConfigException(
                    "MLFLOW_TRACKING_TOKEN: expected letters, digits and signs on one line, got something else");
        }
        if (token.isPresent() && server.getScheme().equals("http") && !THIS_MACHINE.contains(server.getHost())) {
            throw new ConfigException("MLFLOW_TRACKING_TOKEN: is not sent to " + server
                    + ", where others could read it; use an https address, or unset it");
        }
        return new TrackingSettings(
                server, token, variable(variables, "MLFLOW_EXPERIMENT_NAME").orElse(DEFAULT_EXPERIMENT));
    }

    private static Optional<String> variable(Function<String, @Nullable String> variables, String name) {
        return Optional.ofNullable(variables.apply(name)).map(String::strip).filter(value -> !value.isEmpty());
    }

    private static URI address(String text) {
        try {
            URI uri = new URI(text.replaceFirst("/+$", ""));
            boolean web = "https".equals(uri.getScheme()) || "http".equals(uri.getScheme());
            if (web && uri.getHost() != null && uri.getUserInfo() == null && uri.getRawQuery() == null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            throw new ConfigException("mlflow: expected an address such as http://localhost:5000, got another text");
        }
        throw new ConfigException("mlflow: expected an address such as http://localhost:5000, got another text");
    }

    URI server() {
        return server;
    }

    Optional<String> token() {
        return token;
    }

    String experiment() {
        return experiment;
    }
}
