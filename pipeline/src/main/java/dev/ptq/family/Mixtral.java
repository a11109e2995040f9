package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** Mixtral: Mistral's attention, and a mixture of experts in every block. */
final class Mixtral {
    static final Family FAMILY =
            new Family("mixtral", "mixture of experts, weights of a token's experts add up to one", Mixtral::read);

    private static final String MIXTURE = "block_sparse_moe.";

    private Mixtral() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(8, 0);
        int width = json.size("intermediate_size");
        Activation activation = json.activation("hidden_act", Activation.SILU);
        int experts = json.parts("num_local_experts|num_experts", 8);
        return Llama.parts(json, heads, Norm.rms(json.number("rms_norm_eps", 1e-5)))
                .tied(json.tied(false))
                .rope(json.rope(heads.dim(), 1e6))
                .window(json.window("sliding_window", OptionalInt.empty()))
                .mlp(new MixtureShape(
                        MIXTURE + "gate",
                        IntStream.range(0, experts)
                                .mapToObj(expert -> MlpShape.gated(
                                                width,
                                                activation,
                                                Projection.of("w1", false),
                                                Projection.of("w3", false),
                                                Projection.of("w2", false))
                                        .below(MIXTURE + "experts." + expert + "."))
                                .toList(),
                        json.expertsPerToken(experts, 2),
                        true,
                        Optional.empty()));
    }
}
