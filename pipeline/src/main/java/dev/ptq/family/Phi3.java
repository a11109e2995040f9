package dev.ptq.family;

import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.OptionalInt;

/** Phi 3, 3.5 and 4: llama with fused projections. */
final class Phi3 {
    static final Family FAMILY =
            new Family("phi3", "fused qkv_proj and gate_up_proj, longrope, window of attention", Phi3::read);

    private Phi3() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(0, 0);
        return Llama.parts(json, heads, Norm.rms(json.number("rms_norm_eps", 1e-5)))
                .tied(json.tied(false))
                .fusedAttention(Order.BLOCKS, Projection.of(Llama.ATTENTION + "qkv_proj", false), Llama.output(false))
                .mlp(fusedMlp(json))
                .window(json.window("sliding_window", OptionalInt.empty()));
    }

    static MlpShape fusedMlp(ConfigJson json) throws IOException {
        return MlpShape.fused(
                json.size("intermediate_size"),
                json.activation("hidden_act", Activation.SILU),
                Projection.of("mlp.gate_up_proj", false),
                Projection.of("mlp.down_proj", false));
    }
}
