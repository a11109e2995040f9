package dev.ptq.family;

import java.io.IOException;

/**
 * A model family, listed in {@link Families}.
 *
 * @param modelType the {@code model_type} of {@code config.json}
 * @param particulars the parts that tell it from llama, for people
 * @param reader of {@code config.json}
 */
public record Family(String modelType, String particulars, Reader reader) {
    /** Reads the parts of a model of the family. */
    @FunctionalInterface
    interface Reader {
        Parts read(ConfigJson json) throws IOException;
    }

    ModelConfig read(ConfigJson json) throws IOException {
        return reader.read(json).config(modelType, json.quantization());
    }
}
