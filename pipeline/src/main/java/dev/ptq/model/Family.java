package dev.ptq.model;

import java.io.IOException;
import java.util.function.Function;

/**
 * A model family: the reader of its {@code config.json} and its architecture. Listed in {@link Families}.
 *
 * @param modelType the {@code model_type} of {@code config.json}
 */
record Family(String modelType, ConfigReader reader, Function<ModelConfig, Architecture> architecture) {
    /** Reads the shape of a model of this family. */
    @FunctionalInterface
    interface ConfigReader {
        ModelConfig read(ConfigJson json) throws IOException;
    }

    ModelConfig read(ConfigJson json) throws IOException {
        return reader.read(json);
    }
}
