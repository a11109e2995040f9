package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.gguf.FamilyAsGguf;
import dev.ptq.gguf.GgufBuilder;
import dev.ptq.gguf.GgufType;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole pipeline on a GGUF file of 8-bit blocks, beside runs on the numbers that it unpacks to. */
class GgufRunsTest {
    private static final String PACKED = model("tiny-q8_0.gguf");
    private static final String FLOAT = model("tiny-f32.gguf");

    private static final String FORMAT = "[quantization.weight]\nformat = \"int\"\nbits = 3\n";

    private static final String EVALUATION = """
            [evaluation]
            baselines = ["full_precision"]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 2
            """;

    private static final int BLOCK = 32;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
        Path small = folder.resolve("small");
        SyntheticModel.llama()
                .sizes(64, 96)
                .vocabulary(259)
                .positions(64)
                .heads(4, 2)
                .tokenizer()
                .write(small);
        GgufBuilder packed = FamilyAsGguf.of(small);
        GgufBuilder plain = FamilyAsGguf.of(small);
        for (GgufBuilder.Tensor tensor : packed.tensors()) {
            if (tensor.name().startsWith("blk.") && tensor.shape().size() == 2) {
                float[] values = new float[tensor.bytes().length / 4];
                ByteBuffer.wrap(tensor.bytes())
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .asFloatBuffer()
                        .get(values);
                long[] shape =
                        tensor.shape().stream().mapToLong(Long::longValue).toArray();
                packed.tensor(tensor.name(), GgufType.Q8_0, packed(values), shape);
                plain.tensor(tensor.name(), values, shape);
            }
        }
        packed.write(folder.resolve("gguf/tiny-q8_0.gguf"));
        plain.write(folder.resolve("gguf/tiny-f32.gguf"));
        // the file has no tokenizer of its own
        Files.createDirectories(folder.resolve("words"));
        Files.move(small.resolve("tokenizer.json"), folder.resolve("words/tokenizer.json"));
    }

    private static String model(String file) {
        return "[model]\npath = \"DIR/gguf\"\nfile = \"" + file + "\"\ntokenizer = \"DIR/words\"\n";
    }

    /** Codes with a power of two as the scale of each block; the values become those that they stand for. */
    private static byte[] packed(float[] values) {
        ByteBuffer bytes =
                ByteBuffer.allocate(values.length / BLOCK * (BLOCK + 2)).order(ByteOrder.LITTLE_ENDIAN);
        for (int start = 0; start < values.length; start += BLOCK) {
            float largest = 0;
            for (int i = start; i < start + BLOCK; i++) {
                largest = Math.max(largest, Math.abs(values[i]));
            }
            // coarse, so that the model is another one
            int exponent = Math.getExponent(largest) - 3;
            float scale = Math.scalb(1f, exponent);
            bytes.putShort((short) ((exponent + 15) << 10));
            for (int i = start; i < start + BLOCK; i++) {
                int code = (int) Math.rint(values[i] / scale);
                bytes.put((byte) code);
                values[i] = code * scale;
            }
        }
        return bytes.array();
    }

    private double loss(String toml, String tag) throws IOException {
        Outcome outcome = tiny.run(toml, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return Objects.requireNonNull(tiny.metrics(tag).get("perplexity/tales/loss"));
    }

    @Test
    void aFileIsMeasuredAsItIs() throws IOException {
        double packed = loss(PACKED + EVALUATION, "packed");
        assertThat(packed).isEqualTo(loss(FLOAT + EVALUATION, "float"));
        String folderOfFloats = "[model]\npath = \"DIR/small\"\ntokenizer = \"DIR/words\"\n";
        assertThat(packed).isNotEqualTo(loss(folderOfFloats + EVALUATION, "before"));
        // 32 codes of a byte and a scale of two
        assertThat(tiny.metrics("packed").get("bits_per_weight")).isEqualTo(8.5);
        assertThat(tiny.metrics("float").get("bits_per_weight")).isEqualTo(32);
        assertThat(Files.readString(tiny.result("packed/quantize/layers.csv"))).contains("GGUF, Q8_0");
    }

    @Test
    void packedWeightsAreRoundedAgainOnlyOnRequest() throws IOException {
        Outcome refused = tiny.run(PACKED + FORMAT + EVALUATION, "refused");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains("quantization.weight", "is packed already (GGUF, Q8_0)", "model.requantize = true");
        Outcome steps = tiny.run(
                PACKED + TinyExperiment.CALIBRATED + "[[approximation]]\nmethod = \"gptq\"\n" + EVALUATION, "steps");
        assertThat(steps.code()).isEqualTo(2);
        assertThat(steps.err()).contains("approximation", "are packed already", "model.requantize = true");

        String again = PACKED + "requantize = true\n";
        assertThat(loss(again + FORMAT + EVALUATION, "again")).isEqualTo(loss(FLOAT + FORMAT + EVALUATION, "float"));
        String gptq = TinyExperiment.CALIBRATED + "[[approximation]]\nmethod = \"gptq\"\n" + FORMAT + EVALUATION;
        assertThat(loss(again + gptq, "gptq"))
                .isEqualTo(loss(FLOAT + gptq, "float-gptq"))
                .isNotEqualTo(tiny.metrics("again").get("perplexity/tales/loss"));
    }

    @Test
    void aFileMustBeNamedAndHaveATokenizer() throws IOException {
        assertThat(tiny.run("[model]\npath = \"DIR/gguf\"\ntokenizer = \"DIR/words\"\n" + EVALUATION, "which")
                        .err())
                .contains("model.path: DIR/gguf has several GGUF files", "[tiny-f32.gguf, tiny-q8_0.gguf]");
        assertThat(tiny.run("[model]\npath = \"DIR/gguf/tiny-q8_0.gguf\"\n" + EVALUATION, "words")
                        .err())
                .contains("tokenizer.ggml");
    }

    @Test
    void commandsTakeFilesAlike() throws IOException {
        for (List<String> command : List.of(List.of("tokenize", "--text", "a"), List.of("sample", "--prompt", "a"))) {
            assertThat(execute(command, "--model", "DIR/gguf", "--file", "none.gguf")
                            .err())
                    .isEqualTo("--model: file: expected a GGUF file of DIR/gguf, one of [tiny-f32.gguf,"
                            + " tiny-q8_0.gguf], got \"none.gguf\"\n");
            assertThat(execute(command, "--model", "DIR/gguf", "--file", "tiny-f32.gguf")
                            .err())
                    .isEqualTo(execute(command, "--model", "DIR/gguf/tiny-f32.gguf")
                            .err())
                    .startsWith("--model: DIR/gguf/tiny-f32.gguf: ")
                    .contains("tokenizer.ggml");
        }
    }

    private Outcome execute(List<String> command, String... more) {
        String[] all = new String[command.size() + more.length];
        command.toArray(all);
        System.arraycopy(more, 0, all, command.size(), more.length);
        Outcome outcome = tiny.execute(all);
        assertThat(outcome.code()).as(outcome.err()).isEqualTo(2);
        return outcome;
    }
}
