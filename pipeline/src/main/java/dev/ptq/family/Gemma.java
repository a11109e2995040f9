package dev.ptq.family;

import dev.ptq.family.AttentionShape.Over;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.IntFunction;

/** Gemma: norms {@code 1 + w}, a scaled embedding and GELU; from the second on norms on both sides of a branch. */
final class Gemma {
    static final Family FAMILY =
            new Family("gemma", "norms stored less one, embedding times √hidden, gated MLP with GELU", Gemma::read);
    static final Family SECOND = new Family(
            "gemma2",
            "as gemma, with norms on both sides, soft-caps of scores and logits, windows in every other layer",
            Gemma::readSecond);
    static final Family THIRD = new Family(
            "gemma3_text",
            "as gemma2 without soft-caps, with norms on queries and keys, and bases of rotation by kind of layer",
            Gemma::readThird);

    private Gemma() {}

    private static Parts read(ConfigJson json) throws IOException {
        // the first configs say gelu and mean its approximation
        boolean exact =
                json.text("hidden_activation|hidden_act").filter("gelu"::equals).isPresent();
        Activation activation =
                exact ? Activation.GELU_TANH : json.activation("hidden_activation|hidden_act", Activation.GELU_TANH);
        return parts(json, json.heads(16, 256), norm(json)).mlp(mlp(json, activation));
    }

    private static Norm norm(ConfigJson json) throws IOException {
        return Norm.rms(json.number("rms_norm_eps", 1e-6)).storedLessOne();
    }

    private static MlpShape mlp(ConfigJson json, Activation activation) throws IOException {
        return Llama.gated("mlp.", json.size("intermediate_size"), activation, false);
    }

    private static Parts parts(ConfigJson json, Heads heads, Norm norm) throws IOException {
        boolean bias = json.flag("attention_bias", false);
        if (json.has("use_bidirectional_attention")) {
            json.expect("use_bidirectional_attention", false);
        }
        return Llama.parts(json, heads, norm)
                .tied(json.tied(true))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .embeddingMultiplier(Math.sqrt(json.size("hidden_size")));
    }

    private static Parts readSecond(ConfigJson json) throws IOException {
        return sandwich(json, 50, 30).window(windows(json, block -> block % 2 == 0));
    }

    /** Parts with norms on both sides of each branch. A soft-cap of 0 is none. */
    private static Parts sandwich(ConfigJson json, double scoreCap, double logitCap) throws IOException {
        Norm norm = norm(json);
        return parts(json, json.heads(4, 256), norm)
                .mlp(mlp(json, json.activation("hidden_activation|hidden_act", Activation.GELU_TANH)))
                .serial(
                        BranchNorms.around(norm.at("input_layernorm"), norm.at("post_attention_layernorm")),
                        BranchNorms.around(norm.at("pre_feedforward_layernorm"), norm.at("post_feedforward_layernorm")))
                .scores(
                        Math.sqrt(json.number("query_pre_attn_scalar", 256)),
                        softcap(json, "attn_logit_softcapping", scoreCap))
                .logitSoftcap(softcap(json, "final_logit_softcapping", logitCap));
    }

    private static OptionalDouble softcap(ConfigJson json, String key, double preset) throws IOException {
        boolean leftOut = !json.json().has(key);
        return leftOut && preset > 0 ? OptionalDouble.of(preset) : json.optionalNumber(key);
    }

    private static IntFunction<OptionalInt> windows(ConfigJson json, IntFunction<Boolean> preset) throws IOException {
        OptionalInt window = json.window("sliding_window", OptionalInt.of(4096));
        IntFunction<Boolean> has = sliding(json, preset);
        return block -> has.apply(block) ? window : OptionalInt.empty();
    }

    private static IntFunction<Boolean> sliding(ConfigJson json, IntFunction<Boolean> preset) throws IOException {
        return json.layersOf("sliding_attention", json.size("num_hidden_layers"), preset);
    }

    private static Parts readThird(ConfigJson given) throws IOException {
        // configs of the larger models leave these out
        ConfigJson json = given.orElse(Map.of("num_attention_heads", 8, "vocab_size", 262208));
        int pattern = json.size("sliding_window_pattern|_sliding_window_pattern", 6);
        IntFunction<Boolean> preset = block -> (block + 1) % pattern != 0;
        IntFunction<Boolean> isSliding = sliding(json, preset);
        Parts parts = sandwich(json, 0, 0);
        int dim = parts.heads().dim();
        String nested = "rope_parameters.full_attention";
        boolean perKind = json.has(nested);
        Rope full = json.rope(perKind ? nested : "rope_scaling", "rope_theta", dim, 1e6, 1, false);
        Rope local = json.rope("rope_parameters.sliding_attention", "rope_local_base_freq", dim, 1e4, 1, false);
        return parts.headNorms(Qwen3.norms(norm(json), Over.HEAD))
                .rope(block -> Optional.of(isSliding.apply(block) ? local : full))
                .window(windows(json, preset));
    }
}
