package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** Phi 1, 1.5 and 2: attention and MLP side by side behind one LayerNorm, biases everywhere, partly rotated heads. */
final class Phi {
    static final Family FAMILY = new Family(
            "phi",
            "parallel with one LayerNorm, biases on all linears and the head, half of a head rotated",
            Phi::read);

    private Phi() {}

    private static Parts read(ConfigJson json) throws IOException {
        json.expect("qk_layernorm", false);
        Heads heads = json.heads(0, 0);
        Norm norm = Norm.layer(json.number("layer_norm_eps", 1e-5));
        Norm shared = norm.at(Llama.INPUT_NORM);
        return new Parts(json.sizes(2048), heads)
                .tied(json.tied(false))
                .attention(
                        Llama.query(true),
                        Llama.key(true),
                        Llama.value(true),
                        Projection.of(Llama.ATTENTION + "dense", true))
                .rope(json.rope(heads.dim(), 10000, 0.5, false))
                .mlp(MlpShape.plain(
                        json.size("intermediate_size"),
                        json.activation("hidden_act", Activation.GELU_TANH),
                        Projection.of("mlp.fc1", true),
                        Projection.of("mlp.fc2", true)))
                .parallel(shared, shared)
                .lastNorm(norm.at("model.final_layernorm"))
                .head("lm_head", true);
    }
}
