package dev.ptq.family;

import dev.ptq.family.AttentionShape.HeadNorms;
import dev.ptq.family.AttentionShape.Over;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;

/** Command R: attention and MLP side by side behind one LayerNorm without bias, neighbouring channels rotated. */
final class Cohere {
    static final Family FAMILY = new Family(
            "cohere",
            "parallel with one LayerNorm without bias, pairs of neighbouring channels rotated, scaled logits",
            Cohere::read);
    static final Family SECOND = new Family(
            "cohere2", "as cohere; layers with a window rotate, those without have no positions", Cohere::readSecond);

    private Cohere() {}

    private static Parts read(ConfigJson json) throws IOException {
        Parts parts = parts(json);
        if (json.flag("use_qk_norm", false)) {
            HeadNorms norms = Qwen3.norms(norm(json), Over.HEAD_WITH_OWN_WEIGHT);
            parts.headNorms(norms);
        }
        return parts;
    }

    private static Norm norm(ConfigJson json) throws IOException {
        return Norm.layer(json.number("layer_norm_eps", 1e-5)).withoutBias();
    }

    private static Parts parts(ConfigJson json) throws IOException {
        Heads heads = json.heads(0, 0);
        Norm norm = norm(json);
        boolean bias = json.flag("attention_bias", false);
        return Llama.parts(json, heads, norm)
                .tied(json.tied(true))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .rope(json.rope(heads.dim(), 10000, 1, true))
                .parallel(norm.at(Llama.INPUT_NORM), norm.at(Llama.INPUT_NORM))
                .logitMultiplier(json.number("logit_scale", 0.0625));
    }

    private static Parts readSecond(ConfigJson json) throws IOException {
        Parts parts = parts(json);
        int pattern = json.size("sliding_window_pattern|_sliding_window_pattern", 4);
        IntFunction<Boolean> isSliding =
                json.layersOf("sliding_attention", parts.sizes().blocks(), block -> (block + 1) % pattern != 0);
        OptionalInt window = json.window("sliding_window", OptionalInt.of(4096));
        Rope rope = json.rope(parts.heads().dim(), 10000, 1, true);
        return parts.rope(block -> isSliding.apply(block) ? Optional.of(rope) : Optional.empty())
                .window(block -> isSliding.apply(block) ? window : OptionalInt.empty());
    }
}
