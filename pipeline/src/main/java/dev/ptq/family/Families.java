package dev.ptq.family;

import java.io.IOException;
import java.util.List;

/** The registry of model families. */
public final class Families {
    private static final List<Family> ALL = List.of(
            Bloom.FAMILY,
            Cohere.FAMILY,
            Cohere.SECOND,
            Falcon.FAMILY,
            Gemma.FAMILY,
            Gemma.SECOND,
            Gemma.THIRD,
            Glm4.FAMILY,
            Gpt2.FAMILY,
            GptJ.FAMILY,
            GptNeo.FAMILY,
            GptNeoX.FAMILY,
            Granite.FAMILY,
            Llama.FAMILY,
            Mistral.FAMILY,
            Mixtral.FAMILY,
            Mpt.FAMILY,
            Nemotron.FAMILY,
            Olmo.FAMILY,
            Olmo.SECOND,
            Olmo.MIXTURE,
            Opt.FAMILY,
            Phi.FAMILY,
            Phi3.FAMILY,
            Qwen2.FAMILY,
            Qwen2.MIXTURE,
            Qwen3.FAMILY,
            Qwen3.MIXTURE,
            SmolLm3.FAMILY,
            StableLm.FAMILY,
            Starcoder2.FAMILY);

    private Families() {}

    /** All families, by name. */
    public static List<Family> all() {
        return ALL;
    }

    /** Reads a model's parts. */
    static ModelConfig read(ConfigJson json) throws IOException {
        ConfigJson text = json.textPart();
        return text.family().read(text);
    }
}
