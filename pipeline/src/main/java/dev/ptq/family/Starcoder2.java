package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.OptionalInt;

/** StarCoder2: LayerNorm, biases everywhere, a plain MLP with GELU, a window of attention. */
final class Starcoder2 {
    static final Family FAMILY = new Family(
            "starcoder2",
            "LayerNorm, biases on all linears, plain MLP with GELU, window of attention",
            Starcoder2::read);

    private Starcoder2() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(2, 0);
        boolean bias = json.flag("use_bias", true);
        Norm norm = Norm.layer(json.number("norm_epsilon", 1e-5));
        return Llama.parts(json, heads, norm)
                .tied(json.tied(true))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .window(json.window("sliding_window", OptionalInt.empty()))
                .mlp(MlpShape.plain(
                        json.size("intermediate_size"),
                        json.activation("hidden_act", Activation.GELU_TANH),
                        Projection.of("mlp.c_fc", bias),
                        Projection.of("mlp.c_proj", bias)));
    }
}
