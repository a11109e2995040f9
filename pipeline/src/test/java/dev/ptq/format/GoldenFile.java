package dev.ptq.format;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.StreamSupport;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A small safetensors file of reference data, with 16-bit integers too, which no model has. */
record GoldenFile(JsonNode header, ByteBuffer data) {
    /** Opens a file of the shared folder, or skips the test. */
    static GoldenFile open(String name) throws IOException {
        Path path = Shared.golden(name + ".safetensors");
        assumeTrue(Files.exists(path), "the shared folder is not there");
        ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
        int length = Math.toIntExact(all.getLong(0));
        String header = new String(all.array(), Long.BYTES, length, StandardCharsets.UTF_8);
        return new GoldenFile(
                JsonMapper.shared().readTree(header),
                all.position(Long.BYTES + length).slice());
    }

    List<JsonNode> cases() {
        JsonNode cases = JsonMapper.shared()
                .readTree(header.get("__metadata__").get("cases").asString());
        return StreamSupport.stream(cases.spliterator(), false).toList();
    }

    /** A tensor of F32, I16 or U8 as numbers, if there is one. */
    Optional<float[]> numbers(String name) {
        JsonNode entry = header.get(name);
        if (entry == null) {
            return Optional.empty();
        }
        String type = entry.get("dtype").asString();
        int size = type.equals("F32") ? 4 : type.equals("I16") ? 2 : 1;
        int from = entry.get("data_offsets").get(0).asInt();
        float[] numbers = new float[(entry.get("data_offsets").get(1).asInt() - from) / size];
        ByteBuffer bytes = data.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < numbers.length; i++) {
            int at = from + i * size;
            numbers[i] = size == 4 ? bytes.getFloat(at) : size == 2 ? bytes.getShort(at) : bytes.get(at) & 0xff;
        }
        return Optional.of(numbers);
    }
}
