package dev.ptq.family;

import dev.ptq.family.AttentionShape.HeadNorms;
import dev.ptq.family.AttentionShape.Over;
import dev.ptq.family.Parts.Heads;
import java.io.IOException;

/** StableLM: LayerNorm, partly rotated heads; in the 12b model parallel, with norms on queries and keys. */
final class StableLm {
    static final Family FAMILY = new Family(
            "stablelm",
            "LayerNorm, a quarter of a head rotated; parallel with norms of each head in the 12b model",
            StableLm::read);

    private StableLm() {}

    private static Parts read(ConfigJson json) throws IOException {
        Norm norm = Norm.layer(json.number("layer_norm_eps", 1e-5));
        Heads heads = json.heads(32, 0);
        boolean bias = json.flag("use_qkv_bias", false);
        Parts parts = Llama.parts(json, heads, norm)
                .tied(json.tied(false))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(false))
                .rope(json.rope(heads.dim(), 10000, 0.25, false));
        if (json.flag("use_parallel_residual", false)) {
            parts.parallel(norm.at(Llama.INPUT_NORM), norm.at(Llama.INPUT_NORM));
        }
        if (json.flag("qk_layernorm", false)) {
            parts.headNorms(new HeadNorms(
                    norm.withoutBias().at("self_attn.q_layernorm"),
                    norm.withoutBias().at("self_attn.k_layernorm"),
                    Over.HEAD_WITH_OWN_WEIGHT));
        }
        return parts;
    }
}
