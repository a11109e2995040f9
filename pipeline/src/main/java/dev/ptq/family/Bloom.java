package dev.ptq.family;

import dev.ptq.family.AttentionShape.Order;
import java.io.IOException;

/** BLOOM: ALiBi, a norm of the embedding, one linear for queries, keys and values of each head. */
final class Bloom {
    static final Family FAMILY =
            new Family("bloom", "LayerNorm also of the embedding, ALiBi, fused query_key_value by head", Bloom::read);

    private static final String BASE = "transformer.";

    private Bloom() {}

    private static Parts read(ConfigJson json) throws IOException {
        json.expect("apply_residual_connection_post_layernorm", false);
        Norm norm = Norm.layer(json.number("layer_norm_epsilon", 1e-5));
        Parts.Sizes sizes = new Parts.Sizes(
                json.size("hidden_size|n_embed"),
                json.parts("n_layer|num_hidden_layers", null),
                json.size("vocab_size"),
                json.size("seq_length", 2048));
        return new Parts(sizes, json.plainHeads("n_head|num_attention_heads"))
                .tied(json.tied(true))
                .names(BASE, BASE + "h.")
                .embedding(BASE + "word_embeddings.weight")
                .embeddingNorm(norm.at(BASE + "word_embeddings_layernorm"))
                .fusedAttention(
                        Order.GROUPS,
                        Projection.of("self_attention.query_key_value", true),
                        Projection.of("self_attention.dense", true))
                .alibi(Alibi.BLOOM)
                .mlp(MlpShape.plain(
                        4 * sizes.hidden(),
                        Activation.GELU_TANH,
                        Projection.of("mlp.dense_h_to_4h", true),
                        Projection.of("mlp.dense_4h_to_h", true)))
                .serial(
                        BranchNorms.before(norm.at("input_layernorm")),
                        BranchNorms.before(norm.at("post_attention_layernorm")))
                .lastNorm(norm.at(BASE + "ln_f"));
    }
}
