package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import dev.ptq.family.Parts.Sizes;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import tools.jackson.databind.JsonNode;

/** GPT-Neo: learned positions, scores that are not divided, and windows in the layers called local. */
final class GptNeo {
    static final Family FAMILY = new Family(
            "gpt_neo", "LayerNorm, learned positions, scores not divided, windows in local layers", GptNeo::read);

    private GptNeo() {}

    private static Parts read(ConfigJson json) throws IOException {
        Norm norm = Norm.layer(json.number("layer_norm_epsilon", 1e-5));
        Heads heads = json.plainHeads("num_heads|num_attention_heads");
        Sizes sizes = new Sizes(
                json.size("hidden_size"),
                json.parts("num_layers|num_hidden_layers", null),
                json.size("vocab_size"),
                json.size("max_position_embeddings", 2048));
        List<Boolean> local = localLayers(json, sizes.blocks());
        OptionalInt window = OptionalInt.of(json.size("window_size", 256));
        return new Parts(sizes, heads)
                .tied(json.tied(true))
                .names("transformer.", "transformer.h.")
                .embedding("transformer.wte.weight")
                .learnedPositions("transformer.wpe.weight", 0)
                .attention(
                        Projection.of("attn.attention.q_proj", false),
                        Projection.of("attn.attention.k_proj", false),
                        Projection.of("attn.attention.v_proj", false),
                        Projection.of("attn.attention.out_proj", true))
                .scores(1, OptionalDouble.empty())
                .window(block -> local.get(block) ? window : OptionalInt.empty())
                .mlp(MlpShape.plain(
                        json.size("intermediate_size", 4 * sizes.hidden()),
                        json.activation("activation_function", Activation.GELU_TANH),
                        Projection.of("mlp.c_fc", true),
                        Projection.of("mlp.c_proj", true)))
                .serial(BranchNorms.before(norm.at("ln_1")), BranchNorms.before(norm.at("ln_2")))
                .lastNorm(norm.at("transformer.ln_f"));
    }

    /** {@code attention_types} is a list of kinds and how often they are repeated. */
    private static List<Boolean> localLayers(ConfigJson json, int blocks) throws IOException {
        List<Boolean> local = new ArrayList<>();
        if (!json.has("attention_types")) {
            // those of the published models
            for (int block = 0; block < blocks; block++) {
                local.add(block % 2 == 1);
            }
            return local;
        }
        for (JsonNode part : json.get("attention_types")) {
            for (int i = 0; i < part.path(1).asInt(0) && local.size() <= blocks; i++) {
                for (JsonNode kind : part.path(0)) {
                    if (!List.of("local", "global").contains(kind.asString(""))) {
                        throw json.wrong("attention_types", "expected global and local, got " + kind);
                    }
                    local.add("local".equals(kind.asString()));
                }
            }
        }
        if (local.size() != blocks) {
            throw json.wrong("attention_types", "expected kinds of " + blocks + " layers, got " + local.size());
        }
        return local;
    }
}
