package dev.ptq.cli;

import dev.ptq.hub.Hub;
import dev.ptq.hub.HubSettings;
import dev.ptq.progress.Progress;
import java.util.Optional;
import picocli.CommandLine.Option;

/** The option that allows a command to fetch from the hub; without it no command opens a connection. */
final class OnlineOption {
    @Option(
            names = "--online",
            description = "fetch models and data sets of the Hugging Face hub that are not in its cache yet")
    boolean online;

    /** Returns the hub, if connections are allowed. */
    Optional<Hub> hub() {
        return online ? Optional.of(open()) : Optional.empty();
    }

    static Hub open() {
        return new Hub(HubSettings.ofProcess(), Progress.Reporter.forTerminal());
    }
}
