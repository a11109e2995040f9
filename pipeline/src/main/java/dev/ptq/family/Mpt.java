package dev.ptq.family;

import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.OptionalDouble;

/** MPT: ALiBi, LayerNorm without biases, one linear for queries, keys and values. */
final class Mpt {
    static final Family FAMILY =
            new Family("mpt", "LayerNorm without bias, ALiBi, fused Wqkv, queries, keys and values clipped", Mpt::read);

    private static final String BASE = "transformer.";

    private Mpt() {}

    private static Parts read(ConfigJson json) throws IOException {
        Norm norm = Norm.layer(json.number("layer_norm_epsilon", 1e-5)).withoutBias();
        Heads heads = json.plainHeads("n_heads|num_attention_heads");
        Parts.Sizes sizes = new Parts.Sizes(
                json.size("d_model|hidden_size"),
                json.parts("n_layers|num_hidden_layers", null),
                json.size("vocab_size"),
                json.size("max_seq_len", 2048));
        return new Parts(sizes, heads)
                .tied(json.tied(true))
                .names(BASE, BASE + "blocks.")
                .embedding(BASE + "wte.weight")
                .fusedAttention(Order.BLOCKS, Projection.of("attn.Wqkv", false), Projection.of("attn.out_proj", false))
                .clip(json.optionalNumber("attn_config.clip_qkv"))
                .scores(
                        1 / json.number("attn_config.softmax_scale", 1 / Math.sqrt(heads.dim())),
                        OptionalDouble.empty())
                .alibi(Alibi.MPT)
                .mlp(MlpShape.plain(
                        4 * sizes.hidden(),
                        Activation.GELU,
                        Projection.of("ffn.up_proj", false),
                        Projection.of("ffn.down_proj", false)))
                .serial(BranchNorms.before(norm.at("norm_1")), BranchNorms.before(norm.at("norm_2")))
                .lastNorm(norm.at(BASE + "norm_f"));
    }
}
