package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.track.Tracking;
import dev.ptq.track.TrackingSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;

/** The option that sends finished runs to a tracking server. */
final class TrackOption {
    private static final Logger log = LoggerFactory.getLogger(TrackOption.class);

    @Option(
            names = "--track",
            description =
                    "send finished runs to the MLflow server $MLFLOW_TRACKING_URI, as ptq track does; what it does"
                            + " not take is sent by ptq track later")
    boolean track;

    /**
     * Makes sure that there is a server to send to; it is not asked yet.
     *
     * @throws ConfigException if not
     */
    void require() {
        if (track) {
            settings();
        }
    }

    /** Sends runs, if that is wanted. A server that does not answer fails nothing. */
    void send(Path results, List<Path> runs) throws IOException {
        if (track) {
            Tracking.Outcome outcome = new Tracking(settings()).send(results, runs);
            outcome.problems().forEach(log::warn);
            if (!outcome.problems().isEmpty()) {
                log.warn("ptq track {} sends what was not sent", results);
            }
        }
    }

    private static TrackingSettings settings() {
        return TrackingSettings.of(Optional.empty(), System::getenv);
    }
}
