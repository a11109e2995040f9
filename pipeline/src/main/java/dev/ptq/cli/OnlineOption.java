package dev.ptq.cli;

import dev.ptq.hub.Hub;
import dev.ptq.hub.HubSettings;
import dev.ptq.progress.Progress;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Whether a command may fetch from the hub; without it none opens a connection. */
final class OnlineOption {
    @Option(
            names = "--online",
            description = "fetch models and data sets of the Hugging Face hub that are not in its cache yet")
    boolean online;

    /** The hub, if it may be asked. */
    Optional<Hub> hub() {
        return online ? Optional.of(open()) : Optional.empty();
    }

    static Hub open() {
        return new Hub(HubSettings.ofProcess(), Progress.Reporter.forTerminal());
    }
}
