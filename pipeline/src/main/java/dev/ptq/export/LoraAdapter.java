package dev.ptq.export;

import ai.djl.ndarray.NDArray;
import dev.ptq.model.Linear;
import dev.ptq.model.LowRank;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;

/**
 * Low-rank corrections as an adapter of the peft library: {@code y = W x + (alpha / r) B A x} with {@code alpha = r}, where A
 * and B are the transposes of a path's factors.
 */
final class LoraAdapter {
    /** The folder within that of the model. */
    static final String FOLDER = "adapter";

    /** What peft puts before the names of the model's modules. */
    private static final String PREFIX = "base_model.model.";

    private final Path folder;
    private final Shards factors;
    private final Map<String, Integer> ranks = new TreeMap<>();

    /**
     * Starts.
     *
     * @param model folder of the model, where the adapter's is made
     */
    LoraAdapter(Path model, StoredType type) throws IOException {
        folder = Files.createDirectory(model.resolve(FOLDER));
        factors = new Shards(folder, "adapter_model", type, Long.MAX_VALUE);
    }

    /**
     * Writes the paths of a block.
     *
     * @throws IOException if the library has no module for one of them
     */
    void add(Collection<Linear> linears) throws IOException {
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        for (Linear linear : linears) {
            if (linear.lowRank().isEmpty()) {
                continue;
            }
            String module = linear.spec().module();
            if (module.contains(".experts.")) {
                throw new IOException(module + ": has a low-rank correction, and peft has no place for one beside an"
                        + " expert, which transformers joins with the others; export with --adapter " + Adapter.FOLD);
            }
            LowRank path = linear.lowRank().get();
            tensors.put(
                    PREFIX + module + ".lora_A.weight",
                    Torch.contiguous(path.a().transpose()));
            tensors.put(
                    PREFIX + module + ".lora_B.weight",
                    Torch.contiguous(path.b().transpose()));
            ranks.put(module, Math.toIntExact(path.a().getShape().get(1)));
        }
        if (!tensors.isEmpty()) {
            factors.add(tensors, Map.of());
        }
    }

    /**
     * Writes the rest.
     *
     * @param base the folder of the model, as users will name it
     * @return how many paths there are
     * @throws IOException if there are none
     */
    int finish(Path base) throws IOException {
        if (ranks.isEmpty()) {
            throw new IOException("the run has no low-rank corrections, of which --adapter " + Adapter.PEFT
                    + " makes an adapter; leave the option out");
        }
        factors.finish();
        int rank = ranks.values().iterator().next();
        Map<String, Integer> others = new TreeMap<>(ranks);
        others.values().removeIf(other -> other == rank);
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("alpha_pattern", others);
        config.put("base_model_name_or_path", base.toString());
        config.put("bias", "none");
        config.put("inference_mode", true);
        config.put("lora_alpha", rank);
        config.put("lora_dropout", 0.0);
        config.put("peft_type", "LORA");
        config.put("r", rank);
        config.put("rank_pattern", others);
        config.put("target_modules", ranks.keySet());
        config.put("task_type", "CAUSAL_LM");
        Files.writeString(
                folder.resolve("adapter_config.json"),
                JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(config) + "\n");
        return ranks.size();
    }
}
