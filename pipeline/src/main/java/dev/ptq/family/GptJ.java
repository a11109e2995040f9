package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** GPT-J: attention and MLP side by side behind one LayerNorm, neighbouring channels rotated, a head with a bias. */
final class GptJ {
    static final Family FAMILY = new Family(
            "gptj",
            "parallel with one LayerNorm, pairs of neighbouring channels rotated, bias of the head",
            GptJ::read);

    private GptJ() {}

    private static Parts read(ConfigJson json) throws IOException {
        Norm norm = Norm.layer(json.number("layer_norm_epsilon", 1e-5));
        Heads heads = json.plainHeads("n_head|num_attention_heads");
        int rotated = json.size("rotary_dim", 64);
        if (rotated > heads.dim() || rotated % 2 != 0) {
            throw json.wrong("rotary_dim", "expected an even number up to " + heads.dim() + ", got " + rotated);
        }
        Parts parts = new Parts(json.earlySizes("n_positions", 2048), heads);
        return parts.tied(json.tied(false))
                .names("transformer.", "transformer.h.")
                .embedding("transformer.wte.weight")
                .attention(
                        Projection.of("attn.q_proj", false),
                        Projection.of("attn.k_proj", false),
                        Projection.of("attn.v_proj", false),
                        Projection.of("attn.out_proj", false))
                .rope(new Rope(10000, rotated, true, new Rope.Unscaled()))
                .mlp(MlpShape.plain(
                        json.size("n_inner|intermediate_size", 4 * parts.sizes().hidden()),
                        json.activation("activation_function", Activation.GELU_TANH),
                        Projection.of("mlp.fc_in", true),
                        Projection.of("mlp.fc_out", true)))
                .parallel(norm.at("ln_1"), norm.at("ln_1"))
                .lastNorm(norm.at("transformer.ln_f"))
                .head("lm_head", true);
    }
}
