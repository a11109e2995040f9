package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import tools.jackson.databind.JsonNode;

/** The quantizer tables of the reference data as our formats. */
public final class LqerQuantizers {
    private LqerQuantizers() {}

    /** Reads a table with LQER's keys. */
    public static NumberFormat read(JsonNode table) {
        int width = table.path("width").asInt(0);
        int exponentBits = table.path("exponent_width").asInt(8);
        int bias = table.path("exponent_bias").isNumber()
                ? table.get("exponent_bias").asInt()
                : BlockFloatFormat.defaultBias(exponentBits);
        return switch (table.get("name").asString()) {
            case "passthrough" -> new NoFormat();
            case "block_fp" -> {
                List<Integer> block = new ArrayList<>();
                table.get("block_size").forEach(entry -> block.add(entry.asInt()));
                yield new BlockFloatFormat(width, block, exponentBits, bias);
            }
            case "minifloat" -> new MinifloatFormat(width, exponentBits, bias);
            case "integer" ->
                new FixedPointFormat(
                        width,
                        table.get("frac_width").asInt(),
                        table.get("is_signed").asBoolean());
            default -> throw new IllegalArgumentException(table.toString());
        };
    }

    /** Reads a list of dimensions. */
    public static Shape shape(JsonNode dimensions) {
        return new Shape(StreamSupport.stream(dimensions.spliterator(), false)
                .mapToLong(JsonNode::asLong)
                .toArray());
    }
}
