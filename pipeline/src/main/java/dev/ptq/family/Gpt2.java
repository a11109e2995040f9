package dev.ptq.family;

import dev.ptq.family.AttentionShape.Order;
import java.io.IOException;

/** GPT-2: LayerNorm, learned positions, weights stored {@code [in, out]}, one linear for queries, keys and values. */
final class Gpt2 {
    static final Family FAMILY = new Family(
            "gpt2",
            "LayerNorm, learned positions, fused c_attn, weights stored [in, out], plain MLP with GELU",
            Gpt2::read);

    private Gpt2() {}

    private static Parts read(ConfigJson json) throws IOException {
        json.expect("scale_attn_weights", true);
        json.expect("scale_attn_by_inverse_layer_idx", false);
        json.expect("add_cross_attention", false);
        Norm norm = Norm.layer(json.number("layer_norm_epsilon", 1e-5));
        Parts parts =
                new Parts(json.earlySizes("n_positions|n_ctx", 1024), json.plainHeads("n_head|num_attention_heads"));
        return parts.tied(json.tied(true))
                .names("transformer.", "transformer.h.")
                .embedding("transformer.wte.weight")
                .learnedPositions("transformer.wpe.weight", 0)
                .fusedAttention(Order.BLOCKS, turned("attn.c_attn"), turned("attn.c_proj"))
                .mlp(MlpShape.plain(
                        json.size("n_inner|intermediate_size", 4 * parts.sizes().hidden()),
                        json.activation("activation_function", Activation.GELU_TANH),
                        turned("mlp.c_fc"),
                        turned("mlp.c_proj")))
                .serial(BranchNorms.before(norm.at("ln_1")), BranchNorms.before(norm.at("ln_2")))
                .lastNorm(norm.at("transformer.ln_f"));
    }

    private static Projection turned(String path) {
        return new Projection(path, true, true);
    }
}
