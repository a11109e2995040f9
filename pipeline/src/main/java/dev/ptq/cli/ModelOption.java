package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.hub.Hub;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The option {@code --model} of commands that take a model, and whether it may be fetched. */
final class ModelOption {
    @Option(
            names = "--model",
            paramLabel = "MODEL",
            defaultValue = "reference",
            description = "a name of `ptq list models`, a model folder, a GGUF file, or owner/name on the hub (default:"
                    + " ${DEFAULT-VALUE})")
    String model;

    @Option(
            names = "--file",
            paramLabel = "FILE",
            defaultValue = "",
            description = "which GGUF file of a folder, or of the hub, that has several")
    String file;

    @Mixin
    OnlineOption online;

    /**
     * Returns the model's folder, fetched if that is allowed.
     *
     * @throws ConfigException if there is none
     */
    ModelFolder folder() throws IOException {
        try {
            Optional<Hub> hub = online.hub();
            if (hub.isPresent()) {
                ModelFolder.fetchIfAbsent(model, file, hub.get());
            }
            return ModelFolder.resolve(model, file);
        } catch (ConfigException e) {
            throw new ConfigException("--model: " + e.getMessage());
        }
    }

    /**
     * Returns where the tokenizer of the model is.
     *
     * @throws ConfigException if it has none, or none that can be read
     */
    Path tokenizer(ModelFolder folder) {
        try {
            Tokenizer.require(folder.tokenizer());
            return folder.tokenizer();
        } catch (IOException e) {
            throw new ConfigException("--model: " + e.getMessage());
        }
    }
}
