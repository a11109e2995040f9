package dev.ptq.family;

import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** GPT-NeoX and Pythia: attention and MLP side by side, each behind a LayerNorm of its own; partly rotated heads. */
final class GptNeoX {
    static final Family FAMILY = new Family(
            "gpt_neox",
            "parallel with two LayerNorms, fused query_key_value by head, a quarter of a head rotated",
            GptNeoX::read);

    private GptNeoX() {}

    private static Parts read(ConfigJson json) throws IOException {
        Norm norm = Norm.layer(json.number("layer_norm_eps", 1e-5));
        Norm first = norm.at("input_layernorm");
        Norm second = norm.at("post_attention_layernorm");
        Heads heads = json.plainHeads("num_attention_heads");
        boolean bias = json.flag("attention_bias", true);
        Parts parts = new Parts(json.sizes(2048), heads)
                .tied(json.tied(false))
                .names("gpt_neox.", "gpt_neox.layers.")
                .embedding("gpt_neox.embed_in.weight")
                .fusedAttention(
                        Order.GROUPS,
                        Projection.of("attention.query_key_value", bias),
                        Projection.of("attention.dense", bias))
                .rope(json.rope(heads.dim(), 10000, 0.25, false))
                .mlp(MlpShape.plain(
                        json.size("intermediate_size", 24576),
                        json.activation("hidden_act", Activation.GELU),
                        Projection.of("mlp.dense_h_to_4h", true),
                        Projection.of("mlp.dense_4h_to_h", true)))
                .lastNorm(norm.at("gpt_neox.final_layer_norm"))
                .head("embed_out", false);
        return json.flag("use_parallel_residual", true)
                ? parts.parallel(first, second)
                : parts.serial(BranchNorms.before(first), BranchNorms.before(second));
    }
}
