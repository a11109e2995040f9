package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** Llama: RMSNorm before attention and MLP, rotary positions, grouped key and value heads, a gated MLP with SiLU. */
final class Llama {
    static final Family FAMILY = new Family(
            "llama",
            "RMSNorm before attention and MLP, rotary positions, grouped key heads, gated MLP with SiLU",
            Llama::read);

    static final String ATTENTION = "self_attn.";
    static final String INPUT_NORM = "input_layernorm";
    static final String SECOND_NORM = "post_attention_layernorm";
    static final String LAST_NORM = "model.norm";

    private Llama() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(0, 0);
        boolean bias = json.flag("attention_bias", false);
        return parts(json, heads, Norm.rms(json.number("rms_norm_eps", 1e-6)))
                .tied(json.tied(false))
                .attention(query(bias), key(bias), value(bias), output(bias))
                .mlp(gated(json, json.flag("mlp_bias", false)));
    }

    /** Parts by llama's names, without biases of linears, with an own head. */
    static Parts parts(ConfigJson json, Heads heads, Norm norm) throws IOException {
        return new Parts(json.sizes(2048), heads)
                .attention(query(false), key(false), value(false), output(false))
                .rope(json.rope(heads.dim(), 10000))
                .mlp(gated(json, false))
                .serial(BranchNorms.before(norm.at(INPUT_NORM)), BranchNorms.before(norm.at(SECOND_NORM)))
                .lastNorm(norm.at(LAST_NORM));
    }

    static MlpShape gated(ConfigJson json, boolean bias) throws IOException {
        return gated("mlp.", json.size("intermediate_size"), json.activation("hidden_act", Activation.SILU), bias);
    }

    static MlpShape gated(String prefix, int width, Activation activation, boolean bias) {
        return MlpShape.gated(
                width,
                activation,
                Projection.of(prefix + "gate_proj", bias),
                Projection.of(prefix + "up_proj", bias),
                Projection.of(prefix + "down_proj", bias));
    }

    static Projection query(boolean bias) {
        return Projection.of(ATTENTION + "q_proj", bias);
    }

    static Projection key(boolean bias) {
        return Projection.of(ATTENTION + "k_proj", bias);
    }

    static Projection value(boolean bias) {
        return Projection.of(ATTENTION + "v_proj", bias);
    }

    static Projection output(boolean bias) {
        return Projection.of(ATTENTION + "o_proj", bias);
    }
}
