package dev.ptq.family;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import tools.jackson.databind.json.JsonMapper;

/**
 * A decoder described by its parts, from the {@code config.json} of a Hugging Face model folder.
 *
 * @param family the {@code model_type}, see {@link Families}
 * @param hiddenSize width of the residual stream
 * @param layers the blocks, the first first
 * @param names of its tensors
 * @param quantization the method of {@code quantization_config}, if the checkpoint was quantized
 */
public record ModelConfig(
        String family,
        int hiddenSize,
        Vocabulary vocabulary,
        Positions positions,
        Embedding embedding,
        List<BlockShape> layers,
        Output output,
        Names names,
        Optional<String> quantization) {
    /**
     * The vocabulary and its tables.
     *
     * @param size number of tokens
     * @param width of the embedding: {@code hiddenSize}, except in models that project it
     * @param tied whether the output head is the embedding
     */
    public record Vocabulary(int size, int width, boolean tied) {}

    /**
     * Positions of tokens.
     *
     * @param count of positions the model was made for
     * @param learned a table of them that is added to the embedding
     */
    public record Positions(int count, Optional<PositionTable> learned) {}

    /**
     * A table of learned positions.
     *
     * @param name of the tensor
     * @param offset of the row of position 0
     */
    public record PositionTable(String name, int offset) {}

    /**
     * The way into the first block.
     *
     * @param table name of the tensor, {@code [size, width]}
     * @param multiplier of its rows
     * @param norm of its rows
     * @param projection name of a matrix {@code [hiddenSize, width]}, in models with a narrow embedding
     */
    public record Embedding(String table, double multiplier, Optional<Norm> norm, Optional<String> projection) {}

    /**
     * The way from the last block to the logits.
     *
     * @param norm of the last block's output
     * @param projection name of a matrix {@code [width, hiddenSize]}, in models with a narrow embedding
     * @param head name of the last linear, whose weight is {@code [size, width]}; if tied, its weight is the embedding
     * @param bias whether the last linear has a bias
     * @param multiplier of the logits
     * @param softcap bound {@code c} of the logits, {@code c · tanh(x / c)}
     */
    public record Output(
            Optional<Norm> norm,
            Optional<String> projection,
            String head,
            boolean bias,
            double multiplier,
            OptionalDouble softcap) {}

    /**
     * Prefixes of names.
     *
     * @param base of all names but the head's, such as {@code model.}; checkpoints of the bare decoder lack it
     * @param blocks of the names in a block, up to its index, such as {@code model.layers.}
     */
    public record Names(String base, String blocks) {}

    public ModelConfig {
        layers = List.copyOf(layers);
    }

    /** The same with a head that is not the embedding. */
    public ModelConfig withOwnHead() {
        return with(ownHead(), embedding, layers, output);
    }

    /** The same with blocks of other shapes. */
    public ModelConfig withLayers(List<BlockShape> blocks) {
        return with(vocabulary, embedding, blocks, output);
    }

    /**
     * The same with plain RMSNorms: what their weights and biases did, and the means that a LayerNorm takes away, are left to
     * the tensors around them. The head is not the embedding then, and has a bias if the norm before it had one.
     */
    public ModelConfig withPlainNorms() {
        Embedding plain =
                new Embedding(embedding.table(), embedding.multiplier(), Optional.empty(), embedding.projection());
        boolean isShifted = output.norm().filter(Norm::hasBias).isPresent();
        Output end = new Output(
                output.norm().map(Norm::plain),
                output.projection(),
                output.head(),
                output.bias() || isShifted,
                output.multiplier(),
                output.softcap());
        return with(
                ownHead(),
                plain,
                layers.stream().map(BlockShape::withPlainNorms).toList(),
                end);
    }

    private Vocabulary ownHead() {
        return new Vocabulary(vocabulary.size(), vocabulary.width(), false);
    }

    private ModelConfig with(Vocabulary words, Embedding start, List<BlockShape> blocks, Output end) {
        return new ModelConfig(family, hiddenSize, words, positions, start, blocks, end, names, quantization);
    }

    /** Number of blocks. */
    public int blocks() {
        return layers.size();
    }

    /** Returns whether any block is a mixture of experts. */
    public boolean hasExperts() {
        return layers.stream().anyMatch(block -> block.mlp() instanceof MixtureShape);
    }

    /** The longest sequence. Where positions are scaled to the length, the number of positions is no bound. */
    public int longestSequence() {
        boolean unbounded = layers.stream()
                .flatMap(block -> block.attention().rope().stream())
                .anyMatch(rope -> rope.scaling() instanceof Rope.Dynamic);
        return unbounded ? Integer.MAX_VALUE : positions.count();
    }

    /** The shape of a block. */
    public BlockShape block(int index) {
        return layers.get(index);
    }

    /** The model that a {@code config.json} with these keys describes; they must be right. */
    public static ModelConfig of(Map<String, Object> config) {
        try {
            return Families.read(
                    new ConfigJson(Path.of("config.json"), JsonMapper.shared().valueToTree(config)));
        } catch (IOException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
    }

    /**
     * Reads {@code config.json} in a model folder, or the keys of a GGUF file.
     *
     * @throws IOException naming the file and the key, if one is missing, has a wrong type or an unsupported value
     */
    public static ModelConfig read(Path folder) throws IOException {
        return Families.read(ConfigJson.read(folder));
    }
}
