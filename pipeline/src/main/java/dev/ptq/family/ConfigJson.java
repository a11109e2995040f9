package dev.ptq.family;

import dev.ptq.config.Spelling;
import dev.ptq.family.Parts.Heads;
import dev.ptq.family.Parts.Sizes;
import dev.ptq.gguf.Gguf;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads the keys of a model folder's {@code config.json} for the families: every error names file and key. A key may
 * have several spellings, {@code "n_embd|hidden_size"}, of which the first that is there counts. {@code null} is as good
 * as a key left out, unless a method says otherwise.
 */
record ConfigJson(Path file, JsonNode json) {
    private static final int MOST_PARTS = 1 << 16;

    /** A config has a few thousand. */
    private static final int MOST_BYTES = 1 << 24;
    /** Python writes NaN and infinity as words; a key that needs a number refuses them. */
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    /** Families that people may look for, and the part of theirs that is not here. */
    private static final Map<String, String> UNSUPPORTED = Map.of(
            "deepseek_v2", "latent attention, which is not there",
            "deepseek_v3", "latent attention, which is not there",
            "minicpm3", "latent attention, which is not there",
            "kimi_k2", "latent attention, which is not there",
            "gpt_oss", "attention sinks, which are not there");

    static ConfigJson read(Path folder) throws IOException {
        if (Gguf.isNameOf(folder) && !Files.isDirectory(folder)) {
            return new ConfigJson(folder, MAPPER.valueToTree(Gguf.open(folder).config()));
        }
        Path file = folder.resolve("config.json");
        if (!Files.exists(file)) {
            throw new IOException(file + ": no such file; expected a Hugging Face model folder");
        }
        if (!Files.isRegularFile(file)) {
            throw new IOException(file + ": expected a plain file");
        }
        if (Files.size(file) > MOST_BYTES) {
            throw new IOException(file + ": expected at most " + MOST_BYTES + " bytes, got " + Files.size(file));
        }
        try {
            return new ConfigJson(file, MAPPER.readTree(Files.readAllBytes(file)));
        } catch (JacksonException e) {
            String what =
                    e.getOriginalMessage().contains("ALLOW_COMMENTS") ? "JSON has no comments" : e.getOriginalMessage();
            throw new IOException(
                    file + ":" + e.getLocation().getLineNr() + ":"
                            + e.getLocation().getColumnNr() + ": not valid JSON: " + what,
                    e);
        }
    }

    /** The part for text of a model that also takes images or sound; of all others the whole. */
    ConfigJson textPart() {
        JsonNode type = json.path("model_type");
        boolean isKnown =
                Families.all().stream().anyMatch(family -> family.modelType().equals(type.asString("")));
        if (isKnown || !(json.path("text_config") instanceof ObjectNode part)) {
            return this;
        }
        ObjectNode text = part.deepCopy();
        for (String key : List.of("tie_word_embeddings", "quantization_config")) {
            if (!text.has(key) && json.has(key)) {
                text.set(key, json.path(key));
            }
        }
        return new ConfigJson(file, text);
    }

    /** The same with numbers for keys that are left out. */
    ConfigJson orElse(Map<String, Integer> presets) {
        ObjectNode whole = (ObjectNode) json.deepCopy();
        presets.forEach((key, number) -> {
            if (!whole.has(key)) {
                whole.put(key, number);
            }
        });
        return new ConfigJson(file, whole);
    }

    /** The family named by {@code model_type}. */
    Family family() throws IOException {
        JsonNode type = json.path("model_type");
        for (Family family : Families.all()) {
            if (type.isString() && family.modelType().equals(type.asString())) {
                return family;
            }
        }
        List<String> known = Families.all().stream().map(Family::modelType).toList();
        String given = type.asString("");
        String reason = UNSUPPORTED.containsKey(given) ? "; it has " + UNSUPPORTED.get(given) : "";
        throw wrong(
                "model_type",
                "expected one of " + known + ", got " + type + reason + "; nothing was computed"
                        + Spelling.hint(Spelling.closest(given, known)));
    }

    /** The method that the checkpoint was quantized by, if it says so. */
    Optional<String> quantization() {
        JsonNode settings = json.path("quantization_config");
        return isAbsent(settings)
                ? Optional.empty()
                : Optional.of(settings.path("quant_method").asString("without a name"));
    }

    // what all families have, by their usual names

    /** Sizes by the names that most families have for them. */
    Sizes sizes(int positions) throws IOException {
        return new Sizes(
                size("hidden_size"),
                parts("num_hidden_layers", null),
                size("vocab_size"),
                size("max_position_embeddings", positions));
    }

    /** Sizes by the names of the first families. */
    Sizes earlySizes(String positionsKey, int positions) throws IOException {
        return new Sizes(
                size("n_embd|hidden_size"),
                parts("n_layer|num_hidden_layers", null),
                size("vocab_size"),
                size(positionsKey + "|max_position_embeddings", positions));
    }

    /**
     * Heads by the names that most families have for them.
     *
     * @param keys default number of key heads; 0: as many as there are heads
     * @param dim default features of a head; 0: {@code hidden_size / num_attention_heads}
     */
    Heads heads(int keys, int dim) throws IOException {
        int count = size("num_attention_heads");
        // null says as many as there are heads, also where a key left out says something else
        boolean leftOut = !json.has("num_key_value_heads");
        int keyHeads = size("num_key_value_heads", leftOut && keys > 0 ? keys : count);
        int headDim = dim > 0 ? size("head_dim", dim) : size("head_dim", divided("hidden_size", count));
        return checked(new Heads(count, keyHeads, headDim), "num_key_value_heads");
    }

    /** As many key heads as heads, which share the residual stream's width. */
    Heads plainHeads(String key) throws IOException {
        int count = size(key);
        return new Heads(count, count, divided("n_embd|n_embed|d_model|hidden_size", count));
    }

    Heads checked(Heads heads, String key) throws IOException {
        if (heads.count() % heads.keys() != 0) {
            throw wrong(key, "expected a divisor of " + heads.count() + ", got " + heads.keys());
        }
        return heads;
    }

    private int divided(String widthKey, int heads) throws IOException {
        int hidden = size(widthKey);
        if (hidden % heads != 0 && !json.hasNonNull("head_dim")) {
            throw wrong("num_attention_heads", "expected a divisor of hidden_size " + hidden + ", got " + heads);
        }
        return Math.max(1, hidden / heads);
    }

    /** Whether the head is the embedding. */
    boolean tied(boolean preset) throws IOException {
        return flag("tie_word_embeddings", preset);
    }

    Activation activation(String key, Activation preset) throws IOException {
        JsonNode node = node(key);
        if (isAbsent(node)) {
            return preset;
        }
        return Activation.named(node.isString() ? node.asString() : "")
                .orElseThrow(() -> wrong(key, "expected one of " + Activation.names() + ", got " + node));
    }

    /**
     * A window of attention, in tokens.
     *
     * @param preset if the key is left out; {@code null} is none
     */
    OptionalInt window(String key, OptionalInt preset) throws IOException {
        if (json.path(key).isNull()) {
            return OptionalInt.empty();
        }
        return json.has(key) ? OptionalInt.of(size(key)) : preset;
    }

    /**
     * Which blocks have a kind, from {@code layer_types} or else as the family has it.
     *
     * @param kind such as {@code sliding_attention}
     */
    IntFunction<Boolean> layersOf(String kind, int blocks, IntFunction<Boolean> preset) throws IOException {
        JsonNode types = json.path("layer_types");
        if (isAbsent(types)) {
            return preset;
        }
        List<Boolean> are = new ArrayList<>();
        for (JsonNode type : types) {
            if (!type.isString()
                    || !List.of("full_attention", "sliding_attention").contains(type.asString())) {
                throw wrong("layer_types", "expected full_attention and sliding_attention, got " + type);
            }
            are.add(type.asString().equals(kind));
        }
        if (are.size() != blocks) {
            throw wrong("layer_types", "expected " + blocks + " values, one per block, got " + are.size());
        }
        return are::get;
    }

    /** A rotary embedding over whole heads. */
    Rope rope(int headDim, double theta) throws IOException {
        return rope(headDim, theta, 1, false);
    }

    /**
     * The rotary embedding, from {@code rope_parameters}, or from {@code rope_scaling} and keys beside it.
     *
     * @param theta default of the base
     * @param part default share of a head's channels
     */
    Rope rope(int headDim, double theta, double part, boolean interleaved) throws IOException {
        String table = json.hasNonNull("rope_parameters") ? "rope_parameters" : "rope_scaling";
        return rope(table, "rope_theta|rotary_emb_base", headDim, theta, part, interleaved);
    }

    /**
     * The rotary embedding.
     *
     * @param table of its settings; it may be absent
     * @param thetaKey outside of it
     */
    Rope rope(String table, String thetaKey, int headDim, double theta, double part, boolean interleaved)
            throws IOException {
        JsonNode settings = node(table);
        if (!isAbsent(settings) && !settings.isObject()) {
            throw wrong(table, "expected an object, got " + settings);
        }
        double base = number(table + ".rope_theta|" + thetaKey, theta);
        double share = number(table + ".partial_rotary_factor|partial_rotary_factor|rotary_pct", part);
        int width = (int) (headDim * share);
        if (width % 2 != 0 || width < 2 || width > headDim) {
            throw wrong(
                    share == 1 ? "head_dim" : "partial_rotary_factor",
                    "expected an even number of rotated channels among the " + headDim + " of a head, got " + width);
        }
        return new Rope(base, width, interleaved, scaling(table, settings, width / 2));
    }

    private Rope.Scaling scaling(String table, JsonNode settings, int pairs) throws IOException {
        String type = settings.path("rope_type").asString(settings.path("type").asString("default"));
        return switch (type) {
            case "default", "mrope" -> new Rope.Unscaled();
            case "linear" -> new Rope.Linear(number(table + ".factor"));
            case "dynamic" -> new Rope.Dynamic(number(table + ".factor"), size("max_position_embeddings"));
            case "llama3" ->
                new Rope.Llama3(
                        number(table + ".factor"),
                        number(table + ".low_freq_factor"),
                        number(table + ".high_freq_factor"),
                        size(table + ".original_max_position_embeddings"));
            case "yarn" -> yarn(table);
            case "longrope", "su" -> longRope(table, pairs);
            default ->
                throw wrong(
                        table + ".rope_type",
                        "expected one of [default, linear, dynamic, llama3, yarn, longrope], got \"" + type + "\"");
        };
    }

    private Rope.Yarn yarn(String table) throws IOException {
        double factor = number(table + ".factor");
        double magnitude = Rope.yarnMagnitude(
                factor, optionalNumber(table + ".mscale"), optionalNumber(table + ".mscale_all_dim"));
        return new Rope.Yarn(
                factor,
                size(table + ".original_max_position_embeddings|max_position_embeddings"),
                number(table + ".beta_fast", 32),
                number(table + ".beta_slow", 1),
                flag(table + ".truncate", true),
                number(table + ".attention_factor", magnitude));
    }

    private Rope.LongRope longRope(String table, int pairs) throws IOException {
        int original = size("original_max_position_embeddings|" + table
                + ".original_max_position_embeddings|max_position_embeddings");
        double stretch = number(table + ".factor", (double) size("max_position_embeddings") / original);
        double magnitude = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original));
        return new Rope.LongRope(
                numbers(table + ".short_factor", pairs),
                numbers(table + ".long_factor", pairs),
                original,
                number(table + ".attention_factor", magnitude));
    }

    // single keys

    /** The first of several spellings, each a key or a path {@code table.key}, that is there and not null. */
    private JsonNode node(String spellings) {
        JsonNode found = json.path("");
        for (String path : spellings.split("\\|", -1)) {
            found = json;
            for (String key : path.split("\\.", -1)) {
                found = found.path(key);
            }
            if (!isAbsent(found)) {
                break;
            }
        }
        return found;
    }

    private static boolean isAbsent(JsonNode node) {
        return node.isMissingNode() || node.isNull();
    }

    boolean has(String key) {
        return !isAbsent(node(key));
    }

    JsonNode get(String key) {
        return node(key);
    }

    /** A whole number that must be there. */
    int size(String key) throws IOException {
        return size(key, null);
    }

    int size(String key, @Nullable Integer preset) throws IOException {
        JsonNode node = node(key);
        if (isAbsent(node)) {
            if (preset == null) {
                throw wrong(key, "is missing");
            }
            return preset;
        }
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.asInt() < 1) {
            throw wrong(key, "expected a whole number of at least 1, got " + node);
        }
        return node.asInt();
    }

    /** How many parts of a kind a model has. They are all described in memory, so their number has a bound. */
    int parts(String key, @Nullable Integer preset) throws IOException {
        int count = size(key, preset);
        if (count > MOST_PARTS) {
            throw wrong(key, "expected at most " + MOST_PARTS + ", got " + count);
        }
        return count;
    }

    /** The experts of each token, at most as many as there are. */
    int expertsPerToken(int experts, int preset) throws IOException {
        int perToken = size("num_experts_per_tok", preset);
        if (perToken > experts) {
            throw wrong("num_experts_per_tok", "expected at most the " + experts + " experts, got " + perToken);
        }
        return perToken;
    }

    /** The whole numbers, from 0, of a list; none if it is left out. */
    List<Integer> indices(String key) throws IOException {
        JsonNode list = node(key);
        List<Integer> indices = new ArrayList<>();
        if (!isAbsent(list) && !list.isArray()) {
            throw wrong(key, "expected a list of whole numbers, got " + list);
        }
        for (JsonNode index : list) {
            indices.add(index(key, index));
        }
        return indices;
    }

    /** A whole number from 0. */
    int index(String key, int preset) throws IOException {
        JsonNode node = node(key);
        return isAbsent(node) ? preset : index(key, node);
    }

    private int index(String key, JsonNode node) throws IOException {
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.asInt() < 0) {
            throw wrong(key, "expected a whole number of at least 0, got " + node);
        }
        return node.asInt();
    }

    /** A positive number that must be there. */
    double number(String key) throws IOException {
        OptionalDouble number = optionalNumber(key);
        if (number.isEmpty()) {
            throw wrong(key, "is missing");
        }
        return number.getAsDouble();
    }

    double number(String key, double preset) throws IOException {
        return optionalNumber(key).orElse(preset);
    }

    OptionalDouble optionalNumber(String key) throws IOException {
        JsonNode node = node(key);
        return isAbsent(node) ? OptionalDouble.empty() : OptionalDouble.of(positive(key, node));
    }

    private double positive(String key, JsonNode node) throws IOException {
        if (!node.isNumber() || !(node.asDouble() > 0) || Double.isInfinite(node.asDouble())) {
            throw wrong(key, "expected a positive number, got " + node);
        }
        return node.asDouble();
    }

    private List<Double> numbers(String key, int count) throws IOException {
        JsonNode node = node(key);
        if (!node.isArray() || node.size() != count) {
            throw wrong(key, "expected a list of " + count + " numbers, one per rotated pair, got " + node);
        }
        List<Double> numbers = new ArrayList<>();
        for (JsonNode number : node) {
            numbers.add(positive(key, number));
        }
        return numbers;
    }

    boolean flag(String key, boolean preset) throws IOException {
        JsonNode node = node(key);
        if (isAbsent(node)) {
            return preset;
        }
        if (!node.isBoolean()) {
            throw wrong(key, "expected true or false, got " + node);
        }
        return node.asBoolean();
    }

    /** Refuses a key that has another value than the only one known here. */
    void expect(String key, boolean only) throws IOException {
        if (flag(key, only) != only) {
            throw wrong(key, "expected " + only + ", got " + !only);
        }
    }

    /** A text at a key, if it is there. */
    Optional<String> text(String key) throws IOException {
        JsonNode node = node(key);
        if (isAbsent(node)) {
            return Optional.empty();
        }
        if (!node.isString()) {
            throw wrong(key, "expected a string, got " + node);
        }
        return Optional.of(node.asString());
    }

    /** An error at a key; of several spellings, the first that is in the file is named. */
    IOException wrong(String key, String what) {
        String[] spellings = key.split("\\|", -1);
        String named = spellings[0];
        for (String spelling : spellings) {
            if (has(spelling)) {
                named = spelling;
                break;
            }
        }
        return new IOException(file + ": " + named + ": " + what);
    }
}
