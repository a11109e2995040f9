package dev.ptq.family;

import dev.ptq.family.AttentionShape.HeadNorms;
import dev.ptq.family.AttentionShape.Over;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.Optional;

/** Qwen 3: llama with norms on the queries and keys of each head. */
final class Qwen3 {
    static final Family FAMILY =
            new Family("qwen3", "norms on queries and keys of each head; windows in the last layers", Qwen3::read);
    static final Family MIXTURE = new Family("qwen3_moe", "as qwen3, with a mixture of experts", Qwen3::readMixture);

    private Qwen3() {}

    private static Parts read(ConfigJson json) throws IOException {
        return parts(json, json.heads(32, 128)).window(Qwen2.windows(json));
    }

    private static Parts readMixture(ConfigJson json) throws IOException {
        return parts(json, json.heads(4, 128))
                .window(Qwen2.windows(json))
                .mlp(Qwen2.mixtures(json, json.parts("num_experts|num_local_experts", 128), 8, Optional.empty()));
    }

    private static Parts parts(ConfigJson json, Heads heads) throws IOException {
        Norm norm = Norm.rms(json.number("rms_norm_eps", 1e-6));
        boolean bias = json.flag("attention_bias", false);
        return Llama.parts(json, heads, norm)
                .tied(json.tied(false))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .headNorms(norms(norm, Over.HEAD));
    }

    static HeadNorms norms(Norm norm, Over over) {
        return new HeadNorms(norm.at(Llama.ATTENTION + "q_norm"), norm.at(Llama.ATTENTION + "k_norm"), over);
    }
}
