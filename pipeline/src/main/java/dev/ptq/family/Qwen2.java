package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** Qwen 2 and 2.5: llama with biases on queries, keys and values, and windows in the last layers on request. */
final class Qwen2 {
    static final Family FAMILY =
            new Family("qwen2", "biases on queries, keys and values; windows in the last layers", Qwen2::read);
    static final Family MIXTURE = new Family(
            "qwen2_moe", "as qwen2, with a mixture of experts and an expert that all tokens pass", Qwen2::readMixture);

    private Qwen2() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(32, 0);
        return parts(json, heads);
    }

    private static Parts parts(ConfigJson json, Heads heads) throws IOException {
        return Llama.parts(json, heads, Norm.rms(json.number("rms_norm_eps", 1e-6)))
                .tied(json.tied(false))
                .attention(Llama.query(true), Llama.key(true), Llama.value(true), Llama.output(false))
                .window(windows(json));
    }

    /** Windows of the layers from {@code max_window_layers} on, if the model uses them at all. */
    static IntFunction<OptionalInt> windows(ConfigJson json) throws IOException {
        if (!json.flag("use_sliding_window", false)) {
            return block -> OptionalInt.empty();
        }
        OptionalInt window = json.window("sliding_window", OptionalInt.of(4096));
        int first = json.index("max_window_layers", 28);
        IntFunction<Boolean> has =
                json.layersOf("sliding_attention", json.size("num_hidden_layers"), block -> block >= first);
        return block -> has.apply(block) ? window : OptionalInt.empty();
    }

    private static Parts readMixture(ConfigJson json) throws IOException {
        Heads heads = json.heads(16, 0);
        int shared = json.size("shared_expert_intermediate_size", 5632);
        Activation activation = json.activation("hidden_act", Activation.SILU);
        return parts(json, heads)
                .mlp(mixtures(
                        json,
                        json.parts("num_experts|num_local_experts", 60),
                        4,
                        Optional.of(new MixtureShape.Shared(
                                Llama.gated("mlp.shared_expert.", shared, activation, false),
                                "mlp.shared_expert_gate"))));
    }

    /** A mixture in every {@code decoder_sparse_step}-th layer, and an MLP in the others. */
    static IntFunction<FeedForward> mixtures(
            ConfigJson json, int experts, int usualPerToken, Optional<MixtureShape.Shared> shared) throws IOException {
        Activation activation = json.activation("hidden_act", Activation.SILU);
        MlpShape dense = Llama.gated(json, false);
        MixtureShape mixture = mixture(
                experts,
                json.expertsPerToken(experts, usualPerToken),
                json.flag("norm_topk_prob", false),
                json.size("moe_intermediate_size"),
                activation,
                shared);
        int step = json.size("decoder_sparse_step", 1);
        List<Integer> withoutExperts = json.indices("mlp_only_layers");
        return block -> !withoutExperts.contains(block) && (block + 1) % step == 0 ? mixture : dense;
    }

    static MixtureShape mixture(
            int experts,
            int perToken,
            boolean normalized,
            int width,
            Activation activation,
            Optional<MixtureShape.Shared> shared) {
        return new MixtureShape(
                "mlp.gate",
                IntStream.range(0, experts)
                        .mapToObj(expert -> Llama.gated("mlp.experts." + expert + ".", width, activation, false))
                        .toList(),
                perToken,
                normalized,
                shared);
    }
}
