package dev.ptq.family;

import dev.ptq.family.Parts.Heads;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** SmolLM3: llama with some layers without positions. */
final class SmolLm3 {
    static final Family FAMILY =
            new Family("smollm3", "layers without positions; windows in the last layers", SmolLm3::read);

    private SmolLm3() {}

    private static Parts read(ConfigJson json) throws IOException {
        Heads heads = json.heads(4, 0);
        boolean bias = json.flag("attention_bias", false);
        Parts parts = Llama.parts(json, heads, Norm.rms(json.number("rms_norm_eps", 1e-6)));
        List<Boolean> rotates = rotates(json, parts.sizes().blocks());
        Rope rope = json.rope(heads.dim(), 2e6);
        return parts.tied(json.tied(true))
                .attention(Llama.query(bias), Llama.key(bias), Llama.value(bias), Llama.output(bias))
                .mlp(Llama.gated(json, json.flag("mlp_bias", false)))
                .rope(block -> rotates.get(block) ? Optional.of(rope) : Optional.empty())
                .window(Qwen2.windows(json));
    }

    /** {@code no_rope_layers} has 1 for a layer with positions. */
    private static List<Boolean> rotates(ConfigJson json, int blocks) throws IOException {
        List<Boolean> rotates = new ArrayList<>();
        if (json.has("no_rope_layers")) {
            json.indices("no_rope_layers").forEach(flag -> rotates.add(flag == 1));
        } else {
            int interval = json.size("no_rope_layer_interval", 4);
            for (int block = 0; block < blocks; block++) {
                rotates.add((block + 1) % interval != 0);
            }
        }
        if (rotates.size() != blocks) {
            throw json.wrong("no_rope_layers", "expected " + blocks + " values, one per block, got " + rotates.size());
        }
        return rotates;
    }
}
