package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** GLM-4: norms on both sides of attention and MLP, half of the neighbouring channels rotated. */
final class Glm4 {
    static final Family FAMILY = new Family(
            "glm4",
            "norms on both sides of attention and MLP, fused gate_up_proj, half of a head rotated in neighbouring pairs",
            Glm4::read);

    private Glm4() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(2, 128);
        boolean bias = json.flag("attention_bias", true);
        Norm norm = Norm.rms(json.number("rms_norm_eps", 1.5625e-7));
        return Llama.parts(json, heads, norm)
                .tied(json.tied(false))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(false))
                .rope(json.rope(heads.dim(), 10000, 0.5, true))
                .mlp(Phi3.fusedMlp(json))
                .serial(
                        BranchNorms.around(norm.at("input_layernorm"), norm.at("post_self_attn_layernorm")),
                        BranchNorms.around(norm.at("post_attention_layernorm"), norm.at("post_mlp_layernorm")));
    }
}
