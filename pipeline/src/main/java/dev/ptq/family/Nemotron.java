package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** Nemotron: LayerNorm {@code 1 + w}, a plain MLP with squared ReLU, half of a head rotated. */
final class Nemotron {
    static final Family FAMILY = new Family(
            "nemotron",
            "LayerNorm stored less one, plain MLP with squared ReLU, half of a head rotated",
            Nemotron::read);

    private Nemotron() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(0, 0);
        boolean bias = json.flag("attention_bias", false);
        boolean mlpBias = json.flag("mlp_bias", false);
        Norm norm = Norm.layer(json.number("norm_eps", 1e-5)).storedLessOne();
        return Llama.parts(json, heads, norm)
                .tied(json.tied(false))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .rope(json.rope(heads.dim(), 10000, 0.5, false))
                .mlp(MlpShape.plain(
                        json.size("intermediate_size"),
                        json.activation("hidden_act", Activation.RELU_SQUARED),
                        Projection.of("mlp.up_proj", mlpBias),
                        Projection.of("mlp.down_proj", mlpBias)));
    }
}
