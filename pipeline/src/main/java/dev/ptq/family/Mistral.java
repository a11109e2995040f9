package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.OptionalInt;

/** Mistral: llama with a window of attention. */
final class Mistral {
    static final Family FAMILY = new Family("mistral", "window of attention in all layers", Mistral::read);

    private Mistral() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(8, 0);
        return Llama.parts(json, heads, Norm.rms(json.number("rms_norm_eps", 1e-6)))
                .tied(json.tied(false))
                .window(json.window("sliding_window", OptionalInt.of(4096)));
    }
}
