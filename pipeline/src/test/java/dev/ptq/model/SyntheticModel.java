package dev.ptq.model;

import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import tools.jackson.databind.json.JsonMapper;

/**
 * Writes Hugging Face model folders with random weights: matrices from N(0, 1/inFeatures), norms near one. Tensors are
 * written a tile at a time, so large models need little memory. The same settings give the same bytes.
 */
public final class SyntheticModel {
    private static final int TILE = 1 << 15;

    private final Family family;
    private int hidden = 64;
    private int intermediate = 112;
    private int layers = 2;
    private int heads = 4;
    private int kvHeads = 4;
    private int headDim;
    private int vocabulary = 97;
    private int positions = 128;
    private int embedding;
    private boolean attentionBias;
    private boolean mlpBias;
    private boolean tied;
    private boolean normFirst = true;
    private boolean finalNorm = true;
    private boolean outerPrefix = true;
    private Map<String, Object> rope = Map.of();
    private StoredType type = StoredType.F32;
    private int shards = 1;
    private long seed = 1;
    private boolean tokenizer;

    /** One tensor: values are {@code mean + deviation · N(0, 1)}. */
    private record Tensor(String name, List<Integer> shape, double mean, double deviation) {
        long size() {
            return shape.stream().mapToLong(Integer::longValue).reduce(1, (a, b) -> a * b);
        }
    }

    private enum Family {
        LLAMA,
        OPT
    }

    private SyntheticModel(Family family) {
        this.family = family;
    }

    /** A small llama: two blocks, hidden size 64. */
    public static SyntheticModel llama() {
        return new SyntheticModel(Family.LLAMA);
    }

    /** A small OPT with biases and a tied head. */
    public static SyntheticModel opt() {
        return new SyntheticModel(Family.OPT).biases(true, true).tied(true);
    }

    /** Sets the width of the residual stream and of the MLP. */
    public SyntheticModel sizes(int hiddenSize, int intermediateSize) {
        this.hidden = hiddenSize;
        this.intermediate = intermediateSize;
        return this;
    }

    /** Sets the number of blocks. */
    public SyntheticModel layers(int count) {
        this.layers = count;
        return this;
    }

    /** Sets the number of query heads and of key and value heads. */
    public SyntheticModel heads(int queries, int keysAndValues) {
        this.heads = queries;
        this.kvHeads = keysAndValues;
        return this;
    }

    /** Sets a head size that is not the hidden size over the heads. */
    public SyntheticModel headDim(int size) {
        this.headDim = size;
        return this;
    }

    /** Sets the number of tokens there are. */
    public SyntheticModel vocabulary(int size) {
        this.vocabulary = size;
        return this;
    }

    /** Sets the longest sequence. */
    public SyntheticModel positions(int count) {
        this.positions = count;
        return this;
    }

    /** Sets OPT's embedding size where it is not the hidden size; both are then joined by projections. */
    public SyntheticModel embedding(int size) {
        this.embedding = size;
        return this;
    }

    /** Sets which linears have a bias; OPT has both or none. */
    public SyntheticModel biases(boolean attention, boolean mlp) {
        this.attentionBias = attention;
        this.mlpBias = mlp;
        return this;
    }

    /** Sets whether the head is the embedding. */
    public SyntheticModel tied(boolean value) {
        this.tied = value;
        return this;
    }

    /** Puts OPT's norms after attention and MLP, as in the 350m model; there is no final norm then. */
    public SyntheticModel postNorm() {
        this.normFirst = false;
        return this;
    }

    /** Leaves OPT's final norm out, though its norms come first. */
    public SyntheticModel withoutFinalNorm() {
        this.finalNorm = false;
        return this;
    }

    /** Names OPT's tensors as its first releases did, without the outer "model.". */
    public SyntheticModel withoutOuterPrefix() {
        this.outerPrefix = false;
        return this;
    }

    /** Adds keys to {@code config.json}: the rotary embedding's. */
    public SyntheticModel rope(Map<String, Object> keys) {
        this.rope = keys;
        return this;
    }

    /** Sets what the weights are stored as. */
    public SyntheticModel type(StoredType stored) {
        this.type = stored;
        return this;
    }

    /** Sets the number of files; several come with an index. */
    public SyntheticModel shards(int count) {
        this.shards = count;
        return this;
    }

    /** Sets the seed of all weights. */
    public SyntheticModel seed(long value) {
        this.seed = value;
        return this;
    }

    /**
     * Adds a {@code tokenizer.json} that knows the 256 bytes and nothing more: ids 0 to 2 are {@code <unk>}, {@code
     * <s>}, which it puts first, and {@code </s>}; byte b is 3 + b.
     */
    public SyntheticModel tokenizer() {
        this.tokenizer = true;
        return this;
    }

    /** Writes the folder, which is made where it is missing, and returns it. */
    public Path write(Path folder) throws IOException {
        Files.createDirectories(folder);
        writeJson(folder.resolve("config.json"), config());
        if (tokenizer) {
            writeJson(folder.resolve("tokenizer.json"), tokenizerJson());
        }
        List<List<Tensor>> files = sharded(tensors());
        SplittableRandom random = new SplittableRandom(seed);
        if (files.size() == 1) {
            writeTensors(folder.resolve("model.safetensors"), files.get(0), random);
            return folder;
        }
        Map<String, Object> weightMap = new LinkedHashMap<>();
        long bytes = 0;
        for (int i = 0; i < files.size(); i++) {
            String name = String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", i + 1, files.size());
            writeTensors(folder.resolve(name), files.get(i), random);
            for (Tensor tensor : files.get(i)) {
                weightMap.put(tensor.name(), name);
                bytes += tensor.size() * type.bytes();
            }
        }
        Map<String, Object> index = new LinkedHashMap<>();
        index.put("metadata", Map.of("total_size", bytes));
        index.put("weight_map", weightMap);
        writeJson(folder.resolve("model.safetensors.index.json"), index);
        return folder;
    }

    private Map<String, Object> config() {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", family.name().toLowerCase(Locale.ROOT));
        config.put("hidden_size", hidden);
        config.put("num_hidden_layers", layers);
        config.put("num_attention_heads", heads);
        config.put("vocab_size", vocabulary);
        config.put("max_position_embeddings", positions);
        config.put("tie_word_embeddings", tied);
        config.put("bos_token_id", 1);
        config.put("eos_token_id", 2);
        switch (family) {
            case LLAMA -> {
                config.put("architectures", List.of("LlamaForCausalLM"));
                config.put("intermediate_size", intermediate);
                config.put("num_key_value_heads", kvHeads);
                config.put("hidden_act", "silu");
                config.put("rms_norm_eps", 1e-5);
                config.put("attention_bias", attentionBias);
                config.put("mlp_bias", mlpBias);
                if (headDim != 0) {
                    config.put("head_dim", headDim);
                }
                config.putAll(rope);
            }
            case OPT -> {
                config.put("architectures", List.of("OPTForCausalLM"));
                config.put("ffn_dim", intermediate);
                config.put("activation_function", "relu");
                config.put("word_embed_proj_dim", embeddingSize());
                config.put("do_layer_norm_before", normFirst);
                config.put("_remove_final_layer_norm", !finalNorm);
                config.put("enable_bias", attentionBias);
            }
        }
        return config;
    }

    private int embeddingSize() {
        return embedding == 0 ? hidden : embedding;
    }

    private List<Tensor> tensors() {
        List<Tensor> tensors = new ArrayList<>();
        double embeddingDeviation = tied ? 1 / Math.sqrt(embeddingSize()) : 1;
        switch (family) {
            case LLAMA -> {
                tensors.add(
                        new Tensor("model.embed_tokens.weight", List.of(vocabulary, hidden), 0, embeddingDeviation));
                for (int layer = 0; layer < layers; layer++) {
                    addLlamaBlock(tensors, "model.layers." + layer + ".");
                }
                tensors.add(new Tensor("model.norm.weight", List.of(hidden), 1, 0.1));
            }
            case OPT -> {
                String prefix = outerPrefix ? "model.decoder." : "decoder.";
                tensors.add(new Tensor(
                        prefix + "embed_tokens.weight", List.of(vocabulary, embeddingSize()), 0, embeddingDeviation));
                tensors.add(new Tensor(
                        prefix + "embed_positions.weight", List.of(positions + 2, hidden), 0, embeddingDeviation / 2));
                if (embeddingSize() != hidden) {
                    addLinear(tensors, prefix + "project_in", hidden, embeddingSize(), false);
                    addLinear(tensors, prefix + "project_out", embeddingSize(), hidden, false);
                }
                for (int layer = 0; layer < layers; layer++) {
                    addOptBlock(tensors, prefix + "layers." + layer + ".");
                }
                if (normFirst && finalNorm) {
                    addLayerNorm(tensors, prefix + "final_layer_norm");
                }
            }
        }
        if (!tied) {
            addLinear(tensors, "lm_head", vocabulary, embeddingSize(), false);
        }
        return tensors;
    }

    private void addLlamaBlock(List<Tensor> tensors, String prefix) {
        int size = headDim == 0 ? hidden / heads : headDim;
        addLinear(tensors, prefix + "self_attn.q_proj", heads * size, hidden, attentionBias);
        addLinear(tensors, prefix + "self_attn.k_proj", kvHeads * size, hidden, attentionBias);
        addLinear(tensors, prefix + "self_attn.v_proj", kvHeads * size, hidden, attentionBias);
        addLinear(tensors, prefix + "self_attn.o_proj", hidden, heads * size, attentionBias);
        addLinear(tensors, prefix + "mlp.gate_proj", intermediate, hidden, mlpBias);
        addLinear(tensors, prefix + "mlp.up_proj", intermediate, hidden, mlpBias);
        addLinear(tensors, prefix + "mlp.down_proj", hidden, intermediate, mlpBias);
        tensors.add(new Tensor(prefix + "input_layernorm.weight", List.of(hidden), 1, 0.1));
        tensors.add(new Tensor(prefix + "post_attention_layernorm.weight", List.of(hidden), 1, 0.1));
    }

    private void addOptBlock(List<Tensor> tensors, String prefix) {
        for (String name : List.of("k_proj", "v_proj", "q_proj", "out_proj")) {
            addLinear(tensors, prefix + "self_attn." + name, hidden, hidden, attentionBias);
        }
        addLayerNorm(tensors, prefix + "self_attn_layer_norm");
        addLinear(tensors, prefix + "fc1", intermediate, hidden, mlpBias);
        addLinear(tensors, prefix + "fc2", hidden, intermediate, mlpBias);
        addLayerNorm(tensors, prefix + "final_layer_norm");
    }

    private static void addLinear(List<Tensor> tensors, String module, int out, int in, boolean bias) {
        tensors.add(new Tensor(module + ".weight", List.of(out, in), 0, 1 / Math.sqrt(in)));
        if (bias) {
            tensors.add(new Tensor(module + ".bias", List.of(out), 0, 0.1));
        }
    }

    private void addLayerNorm(List<Tensor> tensors, String module) {
        tensors.add(new Tensor(module + ".weight", List.of(hidden), 1, 0.1));
        tensors.add(new Tensor(module + ".bias", List.of(hidden), 0, 0.1));
    }

    /** The tensors in order, cut where each file has its share of the values. */
    private List<List<Tensor>> sharded(List<Tensor> tensors) {
        long total = tensors.stream().mapToLong(Tensor::size).sum();
        List<List<Tensor>> files = new ArrayList<>(List.of(new ArrayList<>()));
        long before = 0;
        for (Tensor tensor : tensors) {
            if (before * shards >= total * files.size()) {
                files.add(new ArrayList<>());
            }
            files.get(files.size() - 1).add(tensor);
            before += tensor.size();
        }
        return files;
    }

    private void writeTensors(Path file, List<Tensor> tensors, SplittableRandom random) throws IOException {
        Map<String, Object> header = new LinkedHashMap<>();
        header.put("__metadata__", Map.of("format", "pt"));
        long offset = 0;
        for (Tensor tensor : tensors) {
            Map<String, Object> fields = new LinkedHashMap<>();
            long end = offset + tensor.size() * type.bytes();
            fields.put("dtype", type.name());
            fields.put("shape", tensor.shape());
            fields.put("data_offsets", List.of(offset, end));
            header.put(tensor.name(), fields);
            offset = end;
        }
        byte[] text = JsonMapper.shared().writeValueAsBytes(header);
        byte[] padded = Arrays.copyOf(text, (text.length + 7) / 8 * 8);
        Arrays.fill(padded, text.length, padded.length, (byte) ' ');
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            ByteBuffer start = ByteBuffer.allocate(Long.BYTES + padded.length).order(ByteOrder.LITTLE_ENDIAN);
            writeFully(channel, start.putLong(padded.length).put(padded).flip());
            ByteBuffer tile = ByteBuffer.allocateDirect(TILE * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
            for (Tensor tensor : tensors) {
                SplittableRandom own = random.split();
                for (long from = 0; from < tensor.size(); from += TILE) {
                    tile.clear();
                    for (long i = from; i < Math.min(tensor.size(), from + TILE); i++) {
                        put(tile, (float) (tensor.mean() + tensor.deviation() * own.nextGaussian()));
                    }
                    writeFully(channel, tile.flip());
                }
            }
        }
    }

    private void put(ByteBuffer target, float value) {
        switch (type) {
            case F32 -> target.putFloat(value);
            case F16 -> target.putShort(toHalf(value));
            case BF16 -> target.putShort(toBrain(value));
            case I32, U8, I8, F8_E4M3, I64 -> throw new IllegalArgumentException("weights cannot be stored as " + type);
        }
    }

    /** Rounds to the nearest bfloat16, half to even. */
    static short toBrain(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }

    /** Rounds to the nearest half, half to even; for finite values below 65504. */
    static short toHalf(float value) {
        float magnitude = Math.abs(value);
        int exponent = Math.max(-14, Math.getExponent(magnitude));
        // in units of the last place a mantissa has; carrying over into the exponent is what it should do
        int units = (int) Math.rint(Math.scalb((double) magnitude, 10 - exponent));
        int bits = magnitude < 0x1p-14f ? units : ((exponent + 14) << 10) + units;
        return (short) (bits | (value < 0 ? 0x8000 : 0));
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static void writeJson(Path file, Map<String, Object> content) throws IOException {
        Files.writeString(
                file, JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(content) + "\n");
    }

    private Map<String, Object> tokenizerJson() {
        Map<String, Integer> pieces = new LinkedHashMap<>();
        List<String> special = List.of("<unk>", "<s>", "</s>");
        special.forEach(piece -> pieces.put(piece, pieces.size()));
        for (int b = 0; b < 256; b++) {
            pieces.put(String.format(Locale.ROOT, "<0x%02X>", b), pieces.size());
        }
        if (pieces.size() > vocabulary) {
            throw new IllegalArgumentException(
                    "a vocabulary of " + vocabulary + " does not hold the tokenizer's " + pieces.size() + " pieces");
        }
        List<Map<String, Object>> added = new ArrayList<>();
        for (String piece : special) {
            Map<String, Object> token = new LinkedHashMap<>();
            token.put("id", pieces.get(piece));
            token.put("content", piece);
            for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
                token.put(flag, false);
            }
            token.put("special", true);
            added.add(token);
        }
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("version", "1.0");
        json.put("truncation", null);
        json.put("padding", null);
        json.put("added_tokens", added);
        json.put("normalizer", null);
        json.put("pre_tokenizer", null);
        json.put("post_processor", startOfText());
        json.put(
                "decoder",
                Map.of(
                        "type",
                        "Sequence",
                        "decoders",
                        List.of(Map.of("type", "ByteFallback"), Map.of("type", "Fuse"))));
        Map<String, Object> model = new LinkedHashMap<>();
        model.put("type", "BPE");
        model.put("dropout", null);
        model.put("unk_token", "<unk>");
        model.put("continuing_subword_prefix", null);
        model.put("end_of_word_suffix", null);
        model.put("fuse_unk", true);
        model.put("byte_fallback", true);
        model.put("vocab", pieces);
        model.put("merges", List.of());
        json.put("model", model);
        return json;
    }

    /** The post-processor that puts {@code <s>} before every text. */
    private static Map<String, Object> startOfText() {
        Map<String, Object> start = Map.of("SpecialToken", Map.of("id", "<s>", "type_id", 0));
        Map<String, Object> first = Map.of("Sequence", Map.of("id", "A", "type_id", 0));
        Map<String, Object> second = Map.of("Sequence", Map.of("id", "B", "type_id", 1));
        Map<String, Object> processor = new LinkedHashMap<>();
        processor.put("type", "TemplateProcessing");
        processor.put("single", List.of(start, first));
        processor.put("pair", List.of(start, first, second));
        processor.put(
                "special_tokens", Map.of("<s>", Map.of("id", "<s>", "ids", List.of(1), "tokens", List.of("<s>"))));
        return processor;
    }

    /**
     * Writes a model.
     *
     * @param arguments the folder and then options: {@code --family llama|opt}, {@code --size 1.1b} for the defaults of
     *     a llama of that size, {@code --hidden}, {@code --intermediate}, {@code --layers}, {@code --heads}, {@code
     *     --kv-heads}, {@code --vocabulary}, {@code --positions}, {@code --embedding}, {@code --type F32|F16|BF16},
     *     {@code --shards}, {@code --seed}, each with a value, and {@code --tied}, {@code --untied}, {@code --biases},
     *     {@code --no-biases}, {@code --post-norm}, {@code --tokenizer}
     */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length == 0 || arguments[0].startsWith("-")) {
            throw new IllegalArgumentException("expected a folder and options");
        }
        List<String> options = Arrays.asList(arguments).subList(1, arguments.length);
        int family = options.indexOf("--family");
        SyntheticModel model = family >= 0 && options.get(family + 1).equals("opt") ? opt() : llama();
        for (int i = 0; i < options.size(); i++) {
            String option = options.get(i);
            switch (option) {
                case "--tied" -> model.tied = true;
                case "--untied" -> model.tied = false;
                case "--biases" -> model.biases(true, true);
                case "--no-biases" -> model.biases(false, false);
                case "--post-norm" -> model.normFirst = false;
                case "--tokenizer" -> model.tokenizer = true;
                default -> {
                    i++;
                    if (i == options.size()) {
                        throw new IllegalArgumentException(option + ": expected a value");
                    }
                    model.set(option, options.get(i));
                }
            }
        }
        System.out.write((model.write(Path.of(arguments[0])) + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    private void set(String option, String value) {
        switch (option) {
            case "--family" -> {
                if (!value.equals(family.name().toLowerCase(Locale.ROOT))) {
                    throw new IllegalArgumentException("--family: expected llama or opt, got " + value);
                }
            }
            case "--size" -> {
                if (!value.equals("1.1b") || family != Family.LLAMA) {
                    throw new IllegalArgumentException("--size: expected 1.1b, of a llama, got " + value);
                }
                sizes(2048, 5632)
                        .layers(22)
                        .heads(32, 4)
                        .vocabulary(32000)
                        .positions(2048)
                        .type(StoredType.BF16);
            }
            case "--hidden" -> hidden = Integer.parseInt(value);
            case "--intermediate" -> intermediate = Integer.parseInt(value);
            case "--layers" -> layers = Integer.parseInt(value);
            case "--heads" -> {
                heads = Integer.parseInt(value);
                kvHeads = heads;
            }
            case "--kv-heads" -> kvHeads = Integer.parseInt(value);
            case "--vocabulary" -> vocabulary = Integer.parseInt(value);
            case "--positions" -> positions = Integer.parseInt(value);
            case "--embedding" -> embedding = Integer.parseInt(value);
            case "--type" -> type = StoredType.valueOf(value);
            case "--shards" -> shards = Integer.parseInt(value);
            case "--seed" -> seed = Long.parseLong(value);
            default -> throw new IllegalArgumentException(option + ": no such option");
        }
    }
}
