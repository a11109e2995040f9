package dev.ptq.family;

import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** Falcon: three generations with one key head, one for each query head, or groups; rotary positions or ALiBi. */
final class Falcon {
    static final Family FAMILY = new Family(
            "falcon",
            "LayerNorm, parallel (with two norms in the 40b model) or serial, fused query_key_value, rotary or ALiBi",
            Falcon::read);

    private static final String BASE = "transformer.";

    private Falcon() {}

    private static Parts read(ConfigJson json) throws IOException {
        Norm norm = Norm.layer(json.number("layer_norm_epsilon", 1e-5));
        boolean bias = json.flag("bias", false);
        boolean grouped = json.flag("new_decoder_architecture", false);
        Heads plain = json.plainHeads("num_attention_heads|n_head");
        int keys = grouped
                ? json.size("num_kv_heads|n_head_kv", plain.count())
                : json.flag("multi_query", true) ? 1 : plain.count();
        Heads heads = json.checked(new Heads(plain.count(), keys, plain.dim()), "num_kv_heads");
        Parts.Sizes sizes = new Parts.Sizes(
                json.size("hidden_size"),
                json.parts("num_hidden_layers|n_layer", null),
                json.size("vocab_size"),
                json.size("max_position_embeddings", 2048));
        Parts parts = new Parts(sizes, heads)
                .tied(json.tied(true))
                .names(BASE, BASE + "h.")
                .embedding(BASE + "word_embeddings.weight")
                .fusedAttention(
                        Order.GROUPS,
                        Projection.of("self_attention.query_key_value", bias),
                        Projection.of("self_attention.dense", bias))
                .mlp(MlpShape.plain(
                        json.size("ffn_hidden_size", 4 * sizes.hidden()),
                        json.activation("activation", Activation.GELU),
                        Projection.of("mlp.dense_h_to_4h", bias),
                        Projection.of("mlp.dense_4h_to_h", bias)))
                .lastNorm(norm.at(BASE + "ln_f"));
        if (json.flag("alibi", false)) {
            parts.alibi(Alibi.FALCON);
        } else {
            parts.rope(json.rope(heads.dim(), 10000));
        }
        Norm first = norm.at("input_layernorm");
        if (grouped && json.size("num_ln_in_parallel_attn", 2) == 2) {
            return parts.parallel(norm.at("ln_attn"), norm.at("ln_mlp"));
        }
        return grouped || json.flag("parallel_attn", true)
                ? parts.parallel(first, first)
                : parts.serial(BranchNorms.before(first), BranchNorms.before(norm.at("post_attention_layernorm")));
    }
}
