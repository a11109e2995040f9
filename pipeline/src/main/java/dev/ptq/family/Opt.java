package dev.ptq.family;

import java.io.IOException;

/**
 * OPT: learned positions with an offset of 2, ReLU, LayerNorm before attention and MLP (after them in the 350m model),
 * and an embedding that may be narrower than the residual stream.
 */
final class Opt {
    static final Family FAMILY = new Family(
            "opt",
            "LayerNorm (after the sum in the 350m model), learned positions, plain MLP with ReLU, narrow embedding",
            Opt::read);

    private static final String DECODER = "model.decoder.";

    private Opt() {}

    private static Parts read(ConfigJson json) throws IOException {
        json.expect("layer_norm_elementwise_affine", true);
        boolean bias = json.flag("enable_bias", true);
        boolean normFirst = json.flag("do_layer_norm_before", true);
        Norm attentionNorm = Norm.layer(1e-5).at("self_attn_layer_norm");
        Norm mlpNorm = Norm.layer(1e-5).at("final_layer_norm");
        Parts parts = new Parts(json.sizes(2048), json.plainHeads("num_attention_heads"))
                .tied(json.tied(true))
                .names("model.", DECODER + "layers.")
                .embedding(DECODER + "embed_tokens.weight")
                .learnedPositions(DECODER + "embed_positions.weight", 2)
                .attention(
                        Llama.query(bias),
                        Llama.key(bias),
                        Llama.value(bias),
                        Projection.of(Llama.ATTENTION + "out_proj", bias))
                .queriesDivided()
                .mlp(MlpShape.plain(
                        json.size("ffn_dim"),
                        json.activation("activation_function", Activation.RELU),
                        Projection.of("fc1", bias),
                        Projection.of("fc2", bias)));
        if (normFirst) {
            parts.serial(BranchNorms.before(attentionNorm), BranchNorms.before(mlpNorm));
        } else {
            parts.serial(BranchNorms.afterSum(attentionNorm), BranchNorms.afterSum(mlpNorm));
        }
        if (normFirst && !json.flag("_remove_final_layer_norm", false)) {
            parts.lastNorm(Norm.layer(1e-5).at(DECODER + "final_layer_norm"));
        }
        int hidden = parts.sizes().hidden();
        int narrow = json.size("word_embed_proj_dim", hidden);
        return narrow == hidden
                ? parts
                : parts.narrowEmbedding(narrow, DECODER + "project_in.weight", DECODER + "project_out.weight");
    }
}
