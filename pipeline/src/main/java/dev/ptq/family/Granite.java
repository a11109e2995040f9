package dev.ptq.family;

import java.io.IOException;
import java.util.OptionalDouble;

/** Granite: llama with four multipliers. */
final class Granite {
    static final Family FAMILY =
            new Family("granite", "multipliers of embedding, scores, branches and logits", Granite::read);

    private Granite() {}

    private static Parts read(ConfigJson json) throws IOException {
        boolean bias = json.flag("attention_bias", false);
        return Llama.parts(json, json.heads(0, 0), Norm.rms(json.number("rms_norm_eps", 1e-6)))
                .tied(json.tied(false))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .mlp(Llama.gated(json, json.flag("mlp_bias", false)))
                .embeddingMultiplier(json.number("embedding_multiplier", 1))
                .scores(1 / json.number("attention_multiplier", 1), OptionalDouble.empty())
                .branchMultiplier(json.number("residual_multiplier", 1))
                .logitMultiplier(1 / json.number("logits_scaling", 1));
    }
}
