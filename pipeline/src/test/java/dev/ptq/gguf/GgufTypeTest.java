package dev.ptq.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.tensor.HalfFloats;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GgufTypeTest {
    @TempDir
    private Path folder;

    /** A block as a row of bits, of which the first is the lowest of the first byte. */
    @SuppressWarnings("ArrayRecordComponent") // a view
    private record Bits(byte[] bytes, int block) {
        int at(int bit, int count) {
            int value = 0;
            for (int i = 0; i < count; i++) {
                int place = bit + i;
                value |= (bytes[block + place / 8] >> place % 8 & 1) << i;
            }
            return value;
        }

        float half(int aByte) {
            return HalfFloats.toFloat((short) at(8 * aByte, 16));
        }
    }

    /** The values one by one, each from the bits that belong to it. */
    private static float value(GgufType type, Bits bits, int i) {
        int nibble = 4 * (i / 16) + 8 * (i % 16);
        return switch (type) {
            case F32 -> Float.intBitsToFloat(bits.at(0, 32));
            case F16 -> bits.half(0);
            case BF16 -> Float.intBitsToFloat(bits.at(0, 16) << 16);
            case Q4_0 -> bits.half(0) * (bits.at(16 + nibble, 4) - 8);
            case Q4_1 -> bits.half(0) * bits.at(32 + nibble, 4) + bits.half(2);
            case Q5_0 -> bits.half(0) * (bits.at(48 + nibble, 4) + 16 * bits.at(16 + i, 1) - 16);
            case Q5_1 -> bits.half(0) * (bits.at(64 + nibble, 4) + 16 * bits.at(32 + i, 1)) + bits.half(2);
            case Q8_0 -> bits.half(0) * (byte) bits.at(16 + 8 * i, 8);
            case Q2_K -> {
                float scale = bits.half(80) * bits.at(i / 16 * 8, 4);
                float least = bits.half(82) * bits.at(i / 16 * 8 + 4, 4);
                yield scale * bits.at(128 + i / 128 * 256 + i % 32 * 8 + i / 32 % 4 * 2, 2) - least;
            }
            case Q3_K -> {
                int part = i / 16;
                int six = bits.at(768 + part % 8 * 8 + part / 8 * 4, 4)
                        + 16 * bits.at(832 + part % 4 * 8 + part / 4 * 2, 2);
                int code = bits.at(256 + i / 128 * 256 + i % 32 * 8 + i / 32 % 4 * 2, 2)
                        + 4 * bits.at(i % 32 * 8 + i / 32, 1);
                yield bits.half(108) * (six - 32) * (code - 4);
            }
            case Q4_K, Q5_K -> {
                int part = i / 32;
                int scale = part < 4
                        ? bits.at(32 + 8 * part, 6)
                        : bits.at(32 + 8 * (part + 4), 4) + 16 * bits.at(32 + 8 * (part - 4) + 6, 2);
                int least = part < 4
                        ? bits.at(32 + 8 * (part + 4), 6)
                        : bits.at(32 + 8 * (part + 4) + 4, 4) + 16 * bits.at(32 + 8 * part + 6, 2);
                int start = type == GgufType.Q4_K ? 128 : 384;
                int code = bits.at(start + part / 2 * 256 + i % 32 * 8 + part % 2 * 4, 4)
                        + (type == GgufType.Q4_K ? 0 : 16 * bits.at(128 + i % 32 * 8 + part, 1));
                yield bits.half(0) * scale * code - bits.half(2) * least;
            }
            case Q6_K -> {
                int code = bits.at(i / 128 * 512 + i / 32 % 2 * 256 + i % 32 * 8 + i / 64 % 2 * 4, 4)
                        + 16 * bits.at(1024 + i / 128 * 256 + i % 32 * 8 + i / 32 % 4 * 2, 2);
                yield bits.half(208) * (byte) bits.at(1536 + i / 16 * 8, 8) * (code - 32);
            }
            case MXFP4 -> {
                float[] table = {0, .5f, 1, 1.5f, 2, 3, 4, 6};
                int code = bits.at(8 + nibble, 4);
                yield (float) (Math.pow(2, bits.at(0, 8) - 127) * table[code % 8] * (code < 8 ? 1 : -1));
            }
        };
    }

    @ParameterizedTest
    @EnumSource(GgufType.class)
    void valuesAreThoseOfTheirBits(GgufType type) {
        byte[] bytes = TinyGguf.blocks(type, 16, new SplittableRandom(5));
        int count = 16 * 256;
        float[] values = new float[count + 3];
        type.toFloats(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), 0, values, 3, count);
        for (int i = 0; i < count; i++) {
            Bits bits = new Bits(bytes, i / type.blockValues() * type.blockBytes());
            float expected = value(type, bits, i % type.blockValues());
            assertThat(values[i + 3] == expected || (Float.isNaN(values[i + 3]) && Float.isNaN(expected)))
                    .as("%s at %d: %s for %s", type, i, values[i + 3], expected)
                    .isTrue();
        }
    }

    /** Against the package gguf, where {@code PTQ_PYTHON}, or python3, has it. */
    @Test
    @Tag("slow")
    void valuesAreThoseOfThePackage() throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Objects.requireNonNullElse(System.getenv("PTQ_PYTHON"), "python3"), "-", folder.toString()));
        Arrays.stream(GgufType.values()).filter(GgufType::isPacked).forEach(type -> command.add(type.name()));
        Path script = folder.resolve("script.py");
        try (InputStream in = GgufTypeTest.class.getResourceAsStream("all_types.py")) {
            Files.copy(Objects.requireNonNull(in), script);
        }
        Process python;
        try {
            python = new ProcessBuilder(command)
                    .redirectInput(script.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("log.txt").toFile())
                    .start();
        } catch (IOException e) {
            assumeTrue(false, "no Python: " + e.getMessage());
            return;
        }
        assertThat(python.waitFor(5, TimeUnit.MINUTES)).isTrue();
        String log = Files.readString(folder.resolve("log.txt"));
        assumeTrue(!log.contains("ModuleNotFoundError"), log);
        assertThat(python.exitValue()).as(log).isZero();
        Gguf file = Gguf.open(folder.resolve("types.gguf"));
        assertThat(file.tensors()).hasSize(command.size() - 3);
        for (GgufTensor tensor : file.tensors().values()) {
            ByteBuffer expected = ByteBuffer.wrap(Files.readAllBytes(folder.resolve(tensor.name() + ".f32")))
                    .order(ByteOrder.LITTLE_ENDIAN);
            assertThat(tensor.type()).hasToString(tensor.name());
            assertThat(tensor.shape()).containsExactly(7L, 512L);
            for (float value : tensor.smallFloats()) {
                assertThat(value == expected.getFloat()).as(tensor.name()).isTrue();
            }
            assertThat(expected.hasRemaining()).isFalse();
        }
    }
}
