package dev.ptq.family;

import dev.ptq.family.AttentionShape.Over;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.Optional;

/** OLMo: norms without parameters; the second has norms behind the branches and on queries and keys. */
final class Olmo {
    static final Family FAMILY =
            new Family("olmo", "LayerNorm without parameters, queries, keys and values clipped", Olmo::read);
    static final Family SECOND = new Family(
            "olmo2", "norms behind attention and MLP, norms over all queries and all keys", Olmo::readSecond);
    static final Family MIXTURE =
            new Family("olmoe", "norms over all queries and all keys, mixture of experts", Olmo::readMixture);

    private Olmo() {}

    private static Parts read(ConfigJson json) throws IOException {
        return biased(
                        json,
                        Llama.parts(
                                json,
                                json.heads(0, 0),
                                Norm.layer(1e-5).withoutBias().withoutParameters()))
                .clip(json.optionalNumber("clip_qkv"));
    }

    private static Parts biased(ConfigJson json, Parts parts) throws IOException {
        boolean bias = json.flag("attention_bias", false);
        return parts.tied(json.tied(false))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias));
    }

    private static Parts readSecond(ConfigJson json) throws IOException {
        Norm norm = Norm.rms(json.number("rms_norm_eps", 1e-5));
        return biased(json, Llama.parts(json, json.heads(0, 0), norm))
                .headNorms(Qwen3.norms(norm, Over.WIDTH))
                .serial(
                        BranchNorms.after(norm.at("post_attention_layernorm")),
                        BranchNorms.after(norm.at("post_feedforward_layernorm")));
    }

    private static Parts readMixture(ConfigJson json) throws IOException {
        Norm norm = Norm.rms(json.number("rms_norm_eps", 1e-5));
        Heads heads = json.heads(0, 0);
        int experts = json.parts("num_experts|num_local_experts", 64);
        return biased(json, Llama.parts(json, heads, norm))
                .headNorms(Qwen3.norms(norm, Over.WIDTH))
                .clip(json.optionalNumber("clip_qkv"))
                .mlp(Qwen2.mixture(
                        experts,
                        json.expertsPerToken(experts, 8),
                        json.flag("norm_topk_prob", false),
                        json.size("intermediate_size"),
                        json.activation("hidden_act", Activation.SILU),
                        Optional.empty()));
    }
}
